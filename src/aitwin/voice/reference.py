"""A stretch of a voice for engines that clone from a clip: whole utterances, with their words.

Does not decide whether a voice may be cloned: see studio.
"""

import numpy as np

from aitwin.errors import TwinError
from aitwin.voice.engines import Reference
from aitwin.voice.heard import RATE
from aitwin.voice.prepared import Prepared, Segment
from aitwin.voice.profile import VoiceProfile, own
from aitwin.voice.voices import Voice

SECONDS = 12.0
"""Of speech at most: engines that clone from a clip are made for 6 to 15 s; more is slower."""
REST = 0.25  # seconds between two utterances


def of(voice: Voice, profile: VoiceProfile, emotion: str = "") -> Reference:
    """The clip of a voice in an emotion; empty: in the one of which most is there.

    Utterances whose words are known come first, then the longer ones, as they lie in the takes'
    order; none that sounds like somebody else. Raises TwinError when there is none.
    """
    import soundfile

    wanted = emotion or max(profile.manners, key=lambda name: profile.manners[name].seconds)
    found = [
        (prepared, segment)
        for take, prepared, ids in own(voice, profile)
        if take.emotion == wanted
        for segment in prepared.segments
        if segment.id in ids
    ]
    chosen = _chosen(found)
    if not chosen:
        raise TwinError(
            f"the voice {voice.id} has no utterance in {wanted} that can be listened to; "
            "run `twin voice prepare`"
        )
    rest = np.zeros(round(REST * RATE), np.float32)
    parts = []
    for prepared, segment in chosen:
        try:
            with soundfile.SoundFile(prepared.sound) as file:
                file.seek(segment.start)
                parts += [file.read(segment.stop - segment.start, dtype="float32"), rest]
        except (soundfile.LibsndfileError, OSError):
            raise TwinError(
                f"{prepared.sound} is missing or damaged; run `twin voice prepare` again"
            ) from None
    texts = [segment.text for _, segment in chosen]
    return Reference(
        voice=voice.id,
        name=voice.name,
        emotion=emotion,
        samples=np.concatenate(parts[:-1]),
        sample_rate=RATE,
        # Words of a part of the clip would be taken for those of all of it.
        text=" ".join(texts) if all(texts) else "",
    )


def _chosen(found: list[tuple[Prepared, Segment]]) -> list[tuple[Prepared, Segment]]:
    """As many as fit into SECONDS, at least one, in their order."""
    told = [pair for pair in found if pair[1].text] or found
    longest = sorted(told, key=lambda pair: pair[1].start - pair[1].stop)
    room = SECONDS * RATE
    kept: list[tuple[Prepared, Segment]] = []
    for pair in longest:
        length = pair[1].stop - pair[1].start
        if not kept or length <= room:
            kept.append(pair)
            room -= length + REST * RATE
    return [pair for pair in found if any(pair is one for one in kept)]
