"""The owner's directory and settings. The sole reader of the environment.

Everything personal lives under one directory (`TWIN_HOME`, default `~/.aitwin`, mode 0700).
Does not know what the rooms keep in their parts of it.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import tomlkit
from tomlkit.exceptions import TOMLKitError

from aitwin import artifact
from aitwin.errors import TwinError

SETTINGS = "twin.toml"
MARKER = ".aitwin"
"""This file says that a directory is a twin's home; twin.toml says so, too."""
DEFAULT_BASE = "qwen2.5-7b-instruct"
DEFAULT_TRAITS = ("concise", "direct")
TABLES = ("owner", "style", "redact", "writer", "voice", "remote")
"""The sections of twin.toml."""
LEAST_CONTEXT = 256
"""Tokens: fewer hold no mail and its answer."""
MOST_CONTEXT = 131_072
"""Tokens: what the longest of usual bases were trained for; more is a slip of the pen."""
ENGINES = ("embedded", "ollama", "openai")
"""What can write: llama.cpp in this process, Ollama, any server that speaks as OpenAI's does."""
DEFAULT_ENCODER = "openvoice-v2"
WAYS = ("cloudflare", "tailscale")
"""How the twin may be reached from outside; one at a time."""
VOICES_MARKER = ".aitwin-voices"
"""This file says that a directory outside of the home is where the recordings lie."""
VAULT = "vault"
"""Where the content of the encrypted volume is while it is open; see services.vault."""
VAULT_PARTS = ("corpus", "datasets", "adapters", "voices")
"""What moves into it."""
PARTS = ("corpus", "datasets", "adapters", "voices", "models", "logs", "run", "secrets", "demo")


@dataclass(frozen=True)
class WriterSettings:
    """[writer] of twin.toml: what writes the drafts. None and "" mean: as the engine has it."""

    engine: str = ENGINES[0]
    """One of ENGINES."""
    url: str = ""
    """Of Ollama, or of a server that speaks as OpenAI's does; on this machine."""
    model: str = ""
    """The twin's name on that server."""
    base_model: str = ""
    """Its base's name there, to compare with."""
    context: int | None = None
    """Tokens of prompt and reply together, from LEAST_CONTEXT to MOST_CONTEXT.

    A server that speaks as OpenAI's does has a context of its own: there, it only limits how many
    examples are shown.
    """
    keep_alive: float | None = None
    """Minutes for which the model stays in memory after a draft."""


@dataclass(frozen=True)
class VoiceSettings:
    """[voice] of twin.toml: where the recordings lie, and what tells voices apart."""

    directory: str = ""
    """Path of the directory with the voices, on an encrypted volume perhaps; "": in the home."""
    encoder: str = DEFAULT_ENCODER
    """Model of the shelf, or path of a .pth or .safetensors, with OpenVoice's reference encoder."""


@dataclass(frozen=True)
class RemoteSettings:
    """[remote] of twin.toml: how the twin is reached from outside. "" for all: it is not."""

    way: str = ""
    """One of WAYS."""
    host: str = ""
    """The name under which it is asked then: "twin.example.org", "mac.tail1234.ts.net"."""
    access_team: str = ""
    """Cloudflare Access: the name before .cloudflareaccess.com; "": no Access in front."""
    access_audience: str = ""
    """Cloudflare Access: the audience tag of the application."""


@dataclass(frozen=True)
class Settings:
    """twin.toml: who the owner is, and what is used."""

    name: str = field(repr=False)
    addresses: tuple[str, ...] = field(default=(), repr=False)
    chat_names: tuple[str, ...] = field(default=(), repr=False)
    traits: tuple[str, ...] = DEFAULT_TRAITS
    base: str = DEFAULT_BASE
    """Name of the base model on the shelf (see models)."""
    languages: tuple[str, ...] = ()
    """Codes ("en") of the languages that the twin learns to write; none: all of them."""
    mail_share: float | None = None
    """Mails in a dataset, 0 to 1, the rest chats; None: as the owner writes."""
    allow: tuple[str, ...] = field(default=(), repr=False)
    """Never redacted: a phone number, an address, "@company.example"."""
    names: tuple[str, ...] = field(default=(), repr=False)
    """People whose names are redacted too."""
    people: bool = False
    """Whether the names of all correspondents are redacted, too."""
    regions: tuple[str, ...] = ()
    """Countries ("DE") whose phone numbers are redacted without a word that announces them."""
    writer: WriterSettings = WriterSettings()
    voice: VoiceSettings = VoiceSettings()
    remote: RemoteSettings = RemoteSettings()


@dataclass(frozen=True)
class Home:
    """The owner's directory. Its parts are made when they are first written to."""

    root: Path

    @classmethod
    def from_environment(cls) -> "Home":
        """`TWIN_HOME`, else `~/.aitwin`."""
        return cls(Path(os.environ.get("TWIN_HOME") or Path.home() / ".aitwin").absolute())

    @property
    def corpus(self) -> Path:
        """Imported messages."""
        return self._unlocked("corpus")

    @property
    def datasets(self) -> Path:
        """One directory per dataset."""
        return self._unlocked("datasets")

    @property
    def adapters(self) -> Path:
        """One directory per adapter."""
        return self._unlocked("adapters")

    @property
    def voices(self) -> Path:
        """One directory per voice, where [voice] of twin.toml names no other place."""
        return self._unlocked("voices")

    def _unlocked(self, part: str) -> Path:
        """A part that may lie in the vault. Raises TwinError while that is locked."""
        path = self.root / part
        if path.is_symlink() and not path.exists():
            raise TwinError("the vault is locked; open it: twin vault open")
        return path

    @property
    def models(self) -> Path:
        """Base models: large, and nothing personal in them."""
        return self.root / "models"

    @property
    def run(self) -> Path:
        """Sockets and keys of running servers."""
        return self.root / "run"

    @property
    def audits(self) -> Path:
        """What audits of the network have found."""
        return self.root / "logs" / "audit"

    @property
    def demo(self) -> Path:
        """The home of the sample owner."""
        return self.root / "demo"

    @property
    def settings_file(self) -> Path:
        """twin.toml."""
        return self.root / SETTINGS

    @property
    def access_file(self) -> Path:
        """Who may ask the twin: digests of tokens and sessions."""
        return self.root / "secrets" / "access.sqlite"

    @property
    def tunnel(self) -> Path:
        """What a tunnel to outside needs: its secret, its configuration, keys that it is told."""
        return self.root / "secrets" / "tunnel"

    @property
    def api_socket(self) -> Path:
        """Where the server listens for the gateway."""
        return self.run / "api.sock"

    def writer_key(self) -> str:
        """What the server that writes wants to be shown; empty when the owner gave none."""
        file = self.root / "secrets" / "writer-key"
        try:
            return file.read_text("utf-8").strip()
        except FileNotFoundError:
            return ""
        except UnicodeDecodeError:
            raise TwinError(f"{file} holds no text; put the server's key into it") from None
        except OSError as error:
            raise TwinError(
                f"{file} cannot be read ({error.strerror}); it must be a file of your own"
            ) from None

    @property
    def marker(self) -> Path:
        """The proof that this is a twin's home."""
        return self.root / MARKER

    @property
    def is_marked(self) -> bool:
        """Whether the directory is known to be a twin's home: nothing else may be deleted in."""
        return self.marker.is_file() or self.settings_file.exists()

    def require_own(self) -> None:
        """Raise TwinError when the directory holds things and is no twin's home.

        Names such as models/ and logs/ prove nothing: any project may have them.
        """
        if not self.is_marked and (count := len(_inside(self.root))):
            raise TwinError(
                f"{self.root} is no twin's home (it holds {count} things, and neither {MARKER} "
                f"nor {SETTINGS}); set TWIN_HOME to a directory of its own"
            )

    def open(self) -> "Home":
        """Make the directory, for its owner alone, and mark it as a twin's home.

        An absent or empty directory becomes one, and one in which there is nothing but pulled
        models and a demo. Raises TwinError when that is impossible, or the directory is somebody
        else's: a TWIN_HOME that is set to a shared folder by mistake keeps its permissions.
        """
        try:
            if not _holds_models_or_demo(self.root):
                self.require_own()
            artifact.make_private_dir(self.root)
            self.root.chmod(0o700)
            if not self.marker.exists():
                artifact.write_private(self.marker, "The home of an AI Twin; see twin --help.\n")
        except OSError as error:
            raise TwinError(
                f"the twin's directory {self.root} cannot be used ({error.strerror}); "
                "set TWIN_HOME to a directory of your own"
            ) from None
        return self

    def settings(self) -> Settings:
        """Read twin.toml.

        Raises TwinError when it is absent, or names every mistake in it.
        """
        try:
            document = tomlkit.parse(self.settings_file.read_text()).unwrap()
        except FileNotFoundError:
            raise TwinError(
                f"{self.settings_file} does not exist yet; run `twin init` first"
            ) from None
        except OSError as error:
            raise TwinError(
                f"{self.settings_file} cannot be read ({error.strerror}); "
                "set TWIN_HOME to a directory of your own"
            ) from None
        except (TOMLKitError, UnicodeDecodeError) as error:
            # TOMLKit's own message quotes the line, which may hold an address.
            place = f" in line {error.line}" if hasattr(error, "line") else ""
            raise TwinError(f"{self.settings_file} is no valid TOML{place}; mend it") from None
        owner = _table(document, "owner")
        style = _table(document, "style")
        redact = _table(document, "redact")
        writer = _table(document, "writer")
        voice = _table(document, "voice")
        remote = _table(document, "remote")
        problems = [
            *_no_tables(document, TABLES),
            *_unknown(document, "", set(TABLES)),
            *_unknown(owner, "owner.", {"name", "addresses", "chat_names"}),
            *_unknown(style, "style.", {"traits", "base", "languages", "mail_share"}),
            *_unknown(redact, "redact.", {"allow", "names", "people", "regions"}),
            *_wrong_strings(owner, "owner", ("name",), ("addresses", "chat_names")),
            *_wrong_strings(style, "style", ("base",), ("traits", "languages")),
            *_wrong_share(style, "style", "mail_share"),
            *_wrong_strings(redact, "redact", (), ("allow", "names", "regions")),
            *_wrong_writer(writer),
            *_wrong_voice(voice),
            *_wrong_remote(remote),
        ]
        if not isinstance(redact.get("people", False), bool):
            problems.append("redact.people must be true or false")
        if not str(owner.get("name", "")).strip():
            problems.append("owner.name is missing")
        if problems:
            listed = "\n".join(f"- {problem}" for problem in problems)
            raise TwinError(f"{self.settings_file} needs mending:\n{listed}")
        return Settings(
            name=owner["name"].strip(),
            addresses=tuple(address.lower() for address in owner.get("addresses", ())),
            chat_names=tuple(owner.get("chat_names", ())),
            traits=tuple(style.get("traits", DEFAULT_TRAITS)),
            base=style.get("base", DEFAULT_BASE),
            languages=tuple(style.get("languages", ())),
            mail_share=style.get("mail_share"),
            allow=tuple(redact.get("allow", ())),
            names=tuple(redact.get("names", ())),
            people=redact.get("people", False),
            regions=tuple(region.upper() for region in redact.get("regions", ())),
            writer=WriterSettings(**writer),
            voice=VoiceSettings(**voice),
            remote=RemoteSettings(**remote),
        )

    def voice_settings(self) -> VoiceSettings:
        """[voice] of twin.toml, or what it says by default where there is no twin.toml yet.

        A voice can be made before anybody said whose mail is to be read.
        """
        return self.settings().voice if self.settings_file.exists() else VoiceSettings()

    def remote_settings(self) -> RemoteSettings:
        """[remote] of twin.toml; where there is no twin.toml, the twin is not reached."""
        return self.settings().remote if self.settings_file.exists() else RemoteSettings()

    def open_voices(self) -> Path:
        """The directory with the voices, ready to be used.

        Nothing is ever made in the place of a volume that is locked: its mount point is then
        absent, or an empty directory of the unencrypted disk, and recordings would land there.
        So a directory of the owner's choice must exist, and either carry a mark of earlier use,
        which lies on the volume itself, or be on another disk than the home and the system, as an
        empty mount point is not; the mark is made then. (Whether it is a mount point itself would
        say less: the directory may well be a folder on the volume.)

        Raises TwinError when the volume is not there.
        """
        chosen = self.voice_settings().directory
        if not chosen:
            self.open()
            return artifact.make_private_dir(self.voices)
        path = Path(chosen).expanduser()
        locked = TwinError(
            f"the volume with your recordings, {path}, is not mounted: unlock it (open its disk "
            "image, or attach its disk), and run it again; where they lie is voice.directory of "
            f"{self.settings_file}"
        )
        try:
            if not path.is_dir():
                raise locked
            if not (path / VOICES_MARKER).is_file():
                self.open()
                if path.stat().st_dev in {Path(own).stat().st_dev for own in (self.root, "/")}:
                    raise TwinError(
                        f"{path} is on this machine's own disk and was never used for "
                        "recordings. Is it the place of an encrypted volume? Then unlock it, and "
                        "run it again. Shall they lie on this disk? Then say so: "
                        f"touch '{path / VOICES_MARKER}'"
                    )
                artifact.write_private(path / VOICES_MARKER, "An AI Twin keeps voices here.\n")
        except OSError as error:
            raise TwinError(
                f"the directory with your recordings, {path}, cannot be used ({error.strerror}); "
                "it must be one that you may write to"
            ) from None
        return path

    def write_settings(self, settings: Settings) -> None:
        """Write twin.toml, keeping the owner's comments in an existing one."""
        self.open()
        document = (
            tomlkit.parse(self.settings_file.read_text())
            if self.settings_file.exists()
            else tomlkit.document()
        )
        for table, key, value in (
            ("owner", "name", settings.name),
            ("owner", "addresses", list(settings.addresses)),
            ("owner", "chat_names", list(settings.chat_names)),
            ("style", "traits", list(settings.traits)),
            ("style", "base", settings.base),
            ("style", "languages", list(settings.languages)),
            ("style", "mail_share", settings.mail_share),
            ("redact", "allow", list(settings.allow)),
            ("redact", "names", list(settings.names)),
            ("redact", "people", settings.people),
            ("redact", "regions", list(settings.regions)),
            *(("writer", key, value) for key, value in _stated(settings.writer)),
            *(("voice", key, value) for key, value in _stated(settings.voice)),
            *(("remote", key, value) for key, value in _stated(settings.remote)),
        ):
            if value is None:  # TOML has no word for nothing
                document.get(table, {}).pop(key, None)
                continue
            if table not in document:
                document[table] = tomlkit.table()
            document[table][key] = value
        artifact.write_private(self.settings_file, tomlkit.dumps(document))


CREDENTIAL = "TWIN_CREDENTIAL"
"""What the gateway shows to the server: made anew for each start, and told to both."""


def take_credential() -> str:
    """The credential that `twin serve` has handed over; "" when there is none.

    It is taken out of the environment: no program that this one starts shall know it.
    """
    return os.environ.pop(CREDENTIAL, "")


def told(names: Iterable[str]) -> dict[str, str]:
    """Those of the variables that the owner has set, to be handed on."""
    return {name: value for name in names if (value := os.environ.get(name))}


def for_children(**more: str) -> dict[str, str]:
    """The environment of a program that this one starts."""
    return {**os.environ, **more}


def hub() -> str:
    """Where models are pulled from: `HF_ENDPOINT` names a mirror."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def launched() -> tuple[Literal["torch", "mlx"] | None, int]:
    """Whose launcher started this process of a training over several, and as which of them.

    torchrun and accelerate set RANK, mlx.launch MLX_RANK; 0 leads. (None, 0) for a process alone.
    """
    if (told := os.environ.get("MLX_RANK", "")).isdigit():
        return "mlx", int(told)
    if (told := os.environ.get("RANK", "")).isdigit():
        return "torch", int(told)
    return None, 0


LEASH = "TWIN_LEASH"
"""Set for a process whose end comes when its standard input closes: see leashed."""


def leashed() -> bool:
    """Whether a server started this process, and holds the other end of its standard input.

    That closes when the server ends, however it does; what it started is to end with it.
    """
    return os.environ.get(LEASH) == "1"


def environment_of_jobs(home: Home) -> dict[str, str]:
    """What a server hands to the commands that it runs: its home, and none of its credentials."""
    rest = {name: value for name, value in os.environ.items() if not name.startswith("TWIN_")}
    return {**rest, "TWIN_HOME": str(home.root), LEASH: "1"}


def environment_of_audit(home: Home, folder: Path, watcher: Path) -> dict[str, str]:
    """What an audit hands to a twin of its own: nothing that would make it look better.

    No proxy, for what goes through one on this machine would seem to stay on it; nothing that
    forbids a library to go out, which is the twin's own affair. `folder` is its user's home, and
    `watcher` comes first where Python looks for modules.
    """
    rest = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TWIN_", "HF_", "TRANSFORMERS_"))
        and not name.upper().endswith("_PROXY")
    }
    paths = (str(watcher), *filter(None, [rest.get("PYTHONPATH", "")]))
    own = {"TWIN_HOME": str(home.root), "HOME": str(folder), "TMPDIR": str(folder)}
    return {**rest, **own, "PYTHONPATH": os.pathsep.join(paths)}


def stay_offline() -> None:
    """Forbid the model libraries every use of the network, and any telemetry (P1, W4).

    To be called before they are imported.
    """
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        os.environ[name] = "1"
    # onnxruntime sends its telemetry to Microsoft from release 1.32 on, on Linux, too: an audit of
    # the network found it (`twin audit network`).
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    # Its warning about forks would land in the middle of a progress bar.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def _inside(directory: Path) -> list[Path]:
    """What is in a directory, less what the Finder leaves in every folder that it shows."""
    if not directory.exists():
        return []
    return [path for path in directory.iterdir() if path.name != ".DS_Store"]


def _holds_models_or_demo(root: Path) -> bool:
    """Whether nothing is in there but what a pull and `twin demo` make: models and a home."""
    return all(
        (path.name == "models" and all(map(_is_model, _inside(path))))
        or (path.name == "demo" and Home(path).is_marked)
        for path in _inside(root)
    )


def _is_model(path: Path) -> bool:
    # "floats" are dequantised bases; hidden are an unfinished download and known digests.
    hidden = path.name.startswith(".")
    return (
        hidden
        or any((path / name).exists() for name in ("manifest.json", "model.gguf"))
        or (path.name == "floats" and all(map(_is_model, _inside(path))))
    )


def _table(document: dict[str, Any], name: str) -> dict[str, Any]:
    table = document.get(name, {})
    return table if isinstance(table, dict) else {}


def _no_tables(document: dict[str, Any], names: tuple[str, ...]) -> list[str]:
    return [
        f"{name} must be a section: [{name}] on a line of its own"
        for name in names
        if not isinstance(document.get(name, {}), dict)
    ]


def _unknown(table: dict[str, Any], prefix: str, known: set[str]) -> list[str]:
    # A key may be an address in the wrong place, which is not to be quoted.
    return [
        f"{prefix}{key if re.fullmatch('[a-z_]+', key) else '…'} is not a setting; "
        f"known: {', '.join(sorted(known))}"
        for key in table
        if key not in known
    ]


def _wrong_share(table: dict[str, Any], name: str, key: str) -> list[str]:
    value = table.get(key, 0)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return [] if number and 0 <= value <= 1 else [f"{name}.{key} must be a number from 0 to 1"]


def _stated(chosen: WriterSettings | VoiceSettings | RemoteSettings) -> list[tuple[str, Any]]:
    """What the owner chose, and None for what is as it comes: few need a line of [writer]."""
    return [
        (field.name, None if (value := getattr(chosen, field.name)) == field.default else value)
        for field in fields(chosen)
    ]


def _wrong_writer(writer: dict[str, Any]) -> list[str]:
    """What is wrong in [writer]."""
    known = {field.name for field in fields(WriterSettings)}
    wrong = [
        *_unknown(writer, "writer.", known),
        *_wrong_strings(writer, "writer", ("engine", "url", "model", "base_model"), ()),
    ]
    engine = writer.get("engine", ENGINES[0])
    if isinstance(engine, str) and engine not in ENGINES:
        wrong.append(f"writer.engine must be one of {', '.join(ENGINES)}")
    if engine == "openai" and not writer.get("model"):
        wrong.append('writer.model must name the model of the server (engine = "openai")')
    context = writer.get("context", LEAST_CONTEXT)
    whole = isinstance(context, int) and not isinstance(context, bool)
    if not whole or not LEAST_CONTEXT <= context <= MOST_CONTEXT:
        wrong.append(
            f"writer.context must be a whole number of tokens, {LEAST_CONTEXT} to {MOST_CONTEXT}"
        )
    minutes = writer.get("keep_alive", 0)
    if not isinstance(minutes, int | float) or isinstance(minutes, bool) or not 0 <= minutes < 1e6:
        wrong.append("writer.keep_alive must be a number of minutes; 0 unloads after every draft")
    return wrong


def _wrong_voice(voice: dict[str, Any]) -> list[str]:
    """What is wrong in [voice]."""
    wrong = [
        *_unknown(voice, "voice.", {field.name for field in fields(VoiceSettings)}),
        *_wrong_strings(voice, "voice", ("directory", "encoder"), ()),
    ]
    directory, encoder = voice.get("directory", ""), voice.get("encoder", DEFAULT_ENCODER)
    # Relative to what? Who starts the twin from elsewhere would find no recordings.
    if isinstance(directory, str) and directory and not directory.startswith(("/", "~/")):
        wrong.append('voice.directory must be a whole path, such as "/Volumes/Twin/voices"')
    if isinstance(encoder, str) and not encoder.strip():
        wrong.append("voice.encoder must name a model, or a .pth or .safetensors file")
    return wrong


_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
HOST = re.compile(rf"(?=.{{1,253}}$)({_LABEL}\.)+(?!\d+$){_LABEL}")
"""A name with a dot that DNS can hold; no address, no port, no path."""
TEAM = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
AUDIENCE = re.compile(r"[0-9a-f]{32,128}")


def _wrong_remote(remote: dict[str, Any]) -> list[str]:
    """What is wrong in [remote]."""
    known = tuple(field.name for field in fields(RemoteSettings))
    wrong = [*_unknown(remote, "remote.", set(known)), *_wrong_strings(remote, "remote", known, ())]
    if wrong:
        return wrong
    chosen = RemoteSettings(**remote)
    if chosen == RemoteSettings():
        return []
    if chosen.way not in WAYS:
        wrong.append(f"remote.way must be one of {', '.join(WAYS)}")
    if not HOST.fullmatch(chosen.host):
        wrong.append('remote.host must be a name in small letters, such as "twin.example.org"')
    if bool(chosen.access_team) != bool(chosen.access_audience):
        wrong.append("remote.access_team and remote.access_audience belong together")
    if chosen.access_team and chosen.way == "tailscale":
        wrong.append("remote.access_team is Cloudflare's; Tailscale has none of it")
    if chosen.access_team and not TEAM.fullmatch(chosen.access_team):
        wrong.append("remote.access_team must be the name before .cloudflareaccess.com")
    if chosen.access_audience and not AUDIENCE.fullmatch(chosen.access_audience):
        wrong.append("remote.access_audience must be the audience tag: 64 of 0-9 and a-f")
    return wrong


def _wrong_strings(
    table: dict[str, Any], name: str, single: tuple[str, ...], many: tuple[str, ...]
) -> list[str]:
    wrong = [
        f"{name}.{key} must be text in quotes"
        for key in single
        if key in table and not isinstance(table[key], str)
    ]
    for key in many:
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            wrong.append(f"{name}.{key} must be a list of texts in quotes")
    return wrong
