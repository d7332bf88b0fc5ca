"""Long bodies take turns: so many pieces in one turn of the loop."""

from __future__ import annotations

import asyncio

from podium.base.http.pacing import PIECES_A_TURN, Pacer
from tests.base.http_tools import run


def test_pieces_of_a_turn_are_counted_over_all_senders() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        pacer = Pacer(loop)
        sent: list[int] = []
        turns = [0]

        def turn() -> None:
            turns[0] += 1
            if len(sent) < 60:
                loop.call_soon(turn)

        async def sender(number: int) -> None:
            for _ in range(10):
                await pacer.turn()
                sent.append(number)

        loop.call_soon(turn)
        await asyncio.gather(*(sender(number) for number in range(6)))
        assert turns[0] >= 60 / PIECES_A_TURN - 1
        # In turns: nobody is far ahead of the others.
        assert min(sent[:24].count(number) for number in range(6)) >= 3

    run(main())


def test_a_sender_that_is_cancelled_holds_up_nobody() -> None:
    async def main() -> None:
        pacer = Pacer(asyncio.get_running_loop())
        for _ in range(PIECES_A_TURN):
            await pacer.turn()
        waiting = [asyncio.create_task(pacer.turn()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.gather(*waiting[1:])

    run(main())
