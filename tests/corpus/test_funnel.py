import pytest

from aitwin.corpus.funnel import Funnel


def test_stages_follow_on_each_other_and_survive_a_manifest():
    funnel = Funnel()
    funnel.add("read", "messages", 10, {"by others": 6, "never happened": 0})
    funnel.add("yours", "messages", 4, {"empty": 1})
    assert funnel.stages[-1].went == 3
    assert funnel.as_json()[0]["dropped"] == {"by others": 6}
    assert Funnel.from_json(funnel.as_json()) == funnel


def test_a_loss_without_a_reason_cannot_be_written_down():
    funnel = Funnel()
    funnel.add("read", "messages", 10, {"by others": 6})
    with pytest.raises(ValueError, match="3 came, but 4"):
        funnel.add("yours", "messages", 3, {})
