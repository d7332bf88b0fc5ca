"""Simulations of controllers: one seed is one life of a small cluster, in simulated time.

Who writes one subclasses `World` (`world.py`), which says what has to be filled in, and gives its class to
`simulate` in a test that `seeds` has parametrised:

    class Jobs(World):
        def controllers(self) -> Sequence[Controller]: ...   # fresh ones: they are restarted
        def begin(self) -> None: ...                         # the first objects
        def command(self) -> None: ...                       # one random act of a user
        def check_write(self, write: Write) -> None: ...     # what must hold at each write of a controller
        def check_rest(self) -> None: ...                    # what must hold when all has come to rest

    @seeds(100)                                              # its part of the 1,000 of `make test`
    def test_jobs_count_exactly(seed: int) -> None:
        simulate(Jobs, seed)

Around these: `loop.py` (time that passes only when nobody has anything to do), `api.py` (the API over an
unreliable network, with caches that lag), `troubles.py` (what goes wrong), `surroundings.py` (kubelets and
the garbage collector).

    PODIUM_SIMULATION_SEEDS=20000 pytest tests/controllers -k simulation     more of them
    PODIUM_SIMULATION_SEED=4711 pytest tests/controllers -k simulation       this one alone
"""
