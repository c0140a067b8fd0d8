"""What a take is like, in numbers. Does not judge: see grades."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Measures:
    """Of one take, measured on the original before anything was mended.

    None: not measured (too little sound for it, or the part that measures it is not installed).
    """

    seconds: float
    """Of the whole take."""
    speech: float
    """Seconds of speech in it (VAD)."""
    sample_rate: int
    """Hertz of the original."""
    bandwidth: float | None
    """Hertz up to which there is sound: a telephone call stored at 48 kHz stays at 3,400."""
    loudness: float | None
    """Integrated loudness of the speech, LUFS (EBU R128, ITU-R BS.1770)."""
    true_peak: float
    """dBTP (BS.1770 annex 2)."""
    clipped: float
    """Share of the samples that lie in runs at full scale, 0 to 1."""
    noise: float | None
    """Level of the pauses, dBFS; of the noise within speech where it is `gated`."""
    snr: float | None
    """Speech over noise, dB."""
    hum: float | None
    """Mains hum and its harmonics over the noise around them, dB; 0 without."""
    hum_frequency: float | None
    """50 or 60 Hertz; None without hum."""
    reverb: float | None
    """Estimated reverberation time RT60, seconds; None where it is `gated`."""
    mos: float | None
    """DNSMOS P.835 overall, 1 to 5, the mean over stretches; of short takes, of a few (see mos)."""
    pitch: float | None
    """Median fundamental frequency, Hertz."""
    voiced: float
    """Share of the speech that has a pitch: speech 0.4 to 0.7, whispering near 0."""
    rate: float | None = None
    """Syllables per second of speech: of the words where they are known, else a guess."""
    speakers: float | None = None
    """Least cosine of a stretch within the take to the take's own mean: low when two talk."""
    misread: int | None = None
    """Words that differ from the prompt; None without prompt or ASR."""
    words: int | None = None
    """Words of the prompt, or of the transcript where there is no prompt."""
    tonal: float | None = None
    """Share of the take that sounds and is tonal while nobody speaks: music has much of it."""
    gated: bool = False
    """Whether noise is heard within speech that something switches off between the words."""
