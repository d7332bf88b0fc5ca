"""The access rooms put together."""

from __future__ import annotations

from podium.apiserver import authn, authz
from podium.apiserver.access import access_factory
from podium.apiserver.admission import Choice
from podium.apiserver.authz.configuration import of_modes
from podium.resources.catalogue import BUILTIN
from tests.apiserver.fakes import FakeReader

OPTIONS = authn.Options(issuer="https://issuer")


def test_nobody_is_anonymous_where_everything_is_allowed() -> None:
    assert access_factory(OPTIONS)(FakeReader()).anonymous
    always = authz.Options(chain=of_modes(["AlwaysAllow"]))
    assert not access_factory(OPTIONS, authorization=always)(FakeReader()).anonymous
    assert not access_factory(OPTIONS, anonymous=False)(FakeReader()).anonymous


def test_every_question_has_an_answer() -> None:
    questions = {
        resource.group_plural for resource in BUILTIN if not resource.stored and resource.verbs == ("create",)
    }
    answered = set(access_factory(OPTIONS)(FakeReader()).answers)
    assert questions - answered <= {"bindings"}


def test_escalation_is_judged_behind_the_plugins() -> None:
    names = [plugin.name for plugin in access_factory(OPTIONS)(FakeReader()).admission]
    assert names[0] == "NamespaceLifecycle"
    assert names[-1] == "RBACEscalationCheck"
    fewer = access_factory(OPTIONS, plugins=Choice(disabled=["PodSecurity"]))(FakeReader()).admission
    assert "PodSecurity" not in [plugin.name for plugin in fewer]
