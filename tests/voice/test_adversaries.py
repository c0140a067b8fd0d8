"""The adversaries: what they see, what their losses mean, and that they learn (S6)."""

import pytest
import torch
from torch import Tensor

from aitwin.voice import adversaries
from aitwin.voice.adversaries import Adversaries, PeriodAdversary, ScaleAdversary


def some(batch: int, time: int, seed: int = 0) -> Tensor:
    return torch.randn(batch, 1, time, generator=torch.Generator().manual_seed(seed)) * 0.1


def test_sizes_are_those_of_the_paper() -> None:
    """HiFi-GAN's period adversaries have 8.22 M weights each, its scale one 5.6 M."""
    with torch.device("meta"):
        whole = Adversaries()
    counts = [sum(one.numel() for one in each.parameters()) for each in whole.discriminators]
    assert len(counts) == 6
    assert counts[0] == pytest.approx(5.64e6, rel=0.01)
    assert counts[1:] == [counts[1]] * 5
    assert counts[1] == pytest.approx(8.22e6, rel=0.01)


@pytest.mark.parametrize(("time", "narrower"), [(4_096, 16), (4_099, 8), (5_000, 4)])
def test_every_length_is_judged_in_every_period(time: int, narrower: int) -> None:
    verdicts = Adversaries(narrower)(some(2, time))
    assert len(verdicts) == 6
    for scores, seen in verdicts:
        assert scores.shape[0] == 2
        assert torch.equal(seen[-1].flatten(1), scores)
    assert [len(seen) for _, seen in verdicts] == [7, 6, 6, 6, 6, 6]


def test_a_period_adversary_sees_columns_apart() -> None:
    """A change of one sample touches no score of another phase."""
    torch.manual_seed(0)
    looker = PeriodAdversary(5, narrower=4)
    sound = some(1, 1_000)
    changed = sound.clone()
    changed[0, 0, 503] += 1  # phase 3
    before, after = (looker(one)[0].view(-1, 5) for one in (sound, changed))
    moved = (before - after).abs().amax(dim=0)
    assert moved[3] > 0
    assert moved[[0, 1, 2, 4]].max() == 0


def test_the_scale_adversary_is_local() -> None:
    torch.manual_seed(0)
    looker = ScaleAdversary(narrower=4)
    sound = some(1, 32_768)
    changed = sound.clone()
    changed[0, 0, 0] += 1
    moved = (looker(sound)[0] - looker(changed)[0]).abs()[0]
    assert moved[0] > 0
    assert moved[len(moved) // 2 :].max() == 0


def test_losses_of_verdicts_that_are_known() -> None:
    ones, zeros, twos = torch.ones(2, 3), torch.zeros(2, 3), torch.full((2, 3), 2.0)
    sure = adversaries.to_tell_apart([(ones, [])], [(zeros, [])])
    fooled = adversaries.to_tell_apart([(zeros, [])], [(ones, [])])
    assert (float(sure), float(fooled)) == (0.0, 2.0)
    assert float(adversaries.to_pass([(ones, []), (zeros, [])])) == 1.0
    assert float(adversaries.to_look_alike([(ones, [ones])], [(ones, [twos])])) == 2.0


def test_the_goal_of_feature_matching_gets_no_gradient() -> None:
    real, fake = torch.ones(2, 3, requires_grad=True), torch.zeros(2, 3, requires_grad=True)
    adversaries.to_look_alike([(real, [real])], [(fake, [fake])]).backward()
    assert real.grad is None
    assert fake.grad is not None


def test_they_learn_to_tell_a_hum_from_noise() -> None:
    torch.manual_seed(0)
    judges = Adversaries(narrower=4)
    moves = torch.optim.AdamW(judges.parameters(), 1e-3, betas=(0.8, 0.99))
    hum = torch.sin(torch.arange(2_048) * 0.05).expand(2, 1, -1) * 0.3
    last = 0.0
    for step in range(20):
        loss = adversaries.to_tell_apart(judges(hum), judges(some(2, 2_048, seed=step)))
        moves.zero_grad()
        loss.backward()
        moves.step()
        last = loss.item()
    # Six adversaries that always say one half have a loss of 3.
    assert last < 1.5


def test_other_widths_are_refused() -> None:
    with pytest.raises(ValueError, match="one of"):
        Adversaries(narrower=3)
