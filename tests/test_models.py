"""The model shelf: pip from a local folder, the hub from a local server; no network."""

import hashlib
import json
import os
import pickle
import re
import shutil
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from aitwin import artifact, models
from aitwin.errors import TwinError
from aitwin.models import Hub, Model, Packaged, Shelf

CONTENT = b"GGUF" + os.urandom(300_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
MEMBER = "tiny_model/tiny.gguf"
PACKAGED = Model(
    "tiny", "tests", Packaged("tiny-model==1.0", MEMBER), len(CONTENT), "Apache-2.0", DIGEST
)
REMOTE = Model(
    "remote", "tests", Hub("me/Tiny-GGUF", "abc", "tiny v1.gguf"), len(CONTENT), "Apache-2.0", None
)


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "CATALOGUE", (PACKAGED, REMOTE))
    return Shelf(tmp_path / "models")


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that pip takes packages from, and nothing else: `index(content, member)`."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))

    def put(content=CONTENT, member=MEMBER):
        info = "tiny_model-1.0.dist-info"
        with zipfile.ZipFile(folder / "tiny_model-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(member, content)
            wheel.writestr(
                f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n"
            )
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")

    return put


def left(shelf):
    return (
        sorted(path.name for path in shelf.directory.iterdir()) if shelf.directory.exists() else []
    )


def test_the_catalogue_is_complete():
    for model in models.CATALOGUE:
        assert model.bytes > 0
        assert model.licence in ("Apache-2.0", "MIT")
        for file in (model, *model.parts):
            assert re.fullmatch("[0-9a-f]{64}", file.sha256)
    assert len({model.name for model in models.CATALOGUE}) == len(models.CATALOGUE)
    assert not {model.name for model in models.CATALOGUE} & set(models.GROUPS)


def test_what_speaks_in_the_owners_voice_is_pinned_to_a_revision():
    """S1. Every file by revision and digest: nothing that changes on the hub arrives unseen."""
    for name in models.GROUPS["voice"]:
        model = models.find(name)
        assert not model.writes
        for file in (model, *model.parts):
            if isinstance(file.source, Hub):
                assert re.fullmatch("[0-9a-f]{40}", file.source.revision)
            else:
                assert "==" in file.source.requirement


def test_openvoice_comes_with_its_base_speakers():
    """S1. Every digest is pinned; the weights keep the name that says how they are to be read."""
    model = models.find("openvoice-v2")
    assert model.file == "checkpoint.pth"
    assert model.source.file == "converter/checkpoint.pth"
    speakers = [part for part in model.parts if part.file.startswith(f"{models.SPEAKERS}/")]
    assert len(speakers) == 11
    assert [part.file for part in model.parts if part not in speakers] == ["config.json"]
    assert {part.source.repository for part in model.parts} == {model.source.repository}
    assert not model.writes
    with pytest.raises(TwinError, match="is a model for the voice; a base for writing is smollm2"):
        models.choose("openvoice-v2")


def test_the_base_speakers_digests_are_those_of_the_golden_copies(shared):
    place = shared / "golden" / "ref_encoder" / "base_speaker_ses"
    pinned = {part.file: part.sha256 for part in models.find("openvoice-v2").parts}
    config = pinned.pop("config.json")
    copies = {f"speakers/{path.name}": artifact.sha256(path) for path in place.iterdir()}
    assert pinned == copies
    official = shared / "golden" / "openvoice" / "config_official_v2.json"
    assert config == artifact.sha256(official)


def test_other_digests_are_those_of_the_golden_copies(shared):
    place = shared / "golden" / "extra"
    (vocabulary,) = models.find("bert-base-uncased").parts
    assert vocabulary.sha256 == artifact.sha256(place / "vocab_official.txt")
    network = place / "g2p_en_checkpoint20.npz"
    assert models.find("g2p-english").sha256 == artifact.sha256(network)


def test_a_pull_verifies_and_says_what_it_costs(shelf, index):
    index()
    said = []
    path = shelf.pull("tiny", said.append)
    assert path.read_bytes() == CONTENT
    assert "293.0 KiB, licence Apache-2.0" in said[0]
    assert shelf.open("tiny") == (path, DIGEST)
    assert path.stat().st_mode & 0o777 == 0o600
    assert left(shelf) == ["tiny"]
    shelf.pull("tiny", said.append)
    assert "is here already" in said[-1]


def test_a_wrong_digest_leaves_the_shelf_as_it_was(shelf, index):
    index()
    path = shelf.pull("tiny")
    path.write_bytes(b"x")
    index(CONTENT[:-1] + b"?")
    with pytest.raises(TwinError, match=r"tiny arrived damaged.*twin models pull tiny"):
        shelf.pull("tiny")
    assert path.read_bytes() == b"x"
    assert left(shelf) == ["tiny"]
    index()
    assert shelf.pull("tiny").read_bytes() == CONTENT


@pytest.mark.parametrize("use", ["open", "pull"])
def test_a_model_that_a_killed_pull_had_set_aside_comes_back(shelf, index, use):
    """Without a second download: the index is empty by then."""
    index()
    path = shelf.pull("tiny")
    path.parent.rename(shelf.directory / ".tiny.replaced")
    for wheel in shelf.directory.parent.glob("index/*"):
        wheel.unlink()
    getattr(shelf, use)("tiny")
    assert path.read_bytes() == CONTENT
    assert left(shelf) == ["tiny"]


def test_a_pull_does_not_take_the_place_of_what_is_no_model(shelf, index):
    index()
    thesis = shelf.directory / "tiny" / "thesis.tex"
    thesis.parent.mkdir(parents=True)
    thesis.touch()
    with pytest.raises(TwinError, match="tiny holds something else than tiny; move it away"):
        shelf.pull("tiny")
    assert thesis.exists()


def test_a_package_without_the_file_or_no_package_at_all(shelf, index, tmp_path):
    with pytest.raises(TwinError, match=r"pip could not download tiny-model==1.0 .*No matching"):
        shelf.pull("tiny")
    index(member="other")
    with pytest.raises(TwinError, match=rf"tiny_model-1.0.*holds no {MEMBER}"):
        shelf.pull("tiny")
    assert left(shelf) == []


def test_an_interrupted_pull_leaves_nothing(shelf, index, monkeypatch):
    index()

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "copyfileobj", interrupted)
    with pytest.raises(KeyboardInterrupt):
        shelf.pull("tiny")
    assert left(shelf) == []
    assert shelf.state(PACKAGED) == "absent"


def test_every_kind_of_damage_is_found(shelf, index):
    index()
    weights = shelf.pull("tiny")
    manifest = weights.parent / artifact.MANIFEST
    good = manifest.read_text()
    flipped = bytearray(CONTENT)
    flipped[1000] ^= 1
    weights.write_bytes(flipped)
    assert shelf.state(PACKAGED) == "ready"  # the size alone says nothing
    assert shelf.state(PACKAGED, thorough=True) == "damaged"
    with pytest.raises(TwinError, match=r"model\.gguf is damaged.*twin models pull tiny"):
        shelf.open("tiny")
    forged = good.replace(DIGEST, hashlib.sha256(flipped).hexdigest())
    for content in (forged, "{}", "{", "[]"):
        manifest.write_text(content)
        assert shelf.state(PACKAGED, thorough=True) == "damaged", content
    manifest.write_text(good)
    weights.write_bytes(CONTENT[:-1])
    assert shelf.state(PACKAGED) == "damaged"
    weights.unlink()
    assert shelf.state(PACKAGED) == "damaged"
    manifest.unlink()
    assert shelf.state(PACKAGED) == "absent"


@pytest.mark.parametrize(("size", "wanted"), [(2 * models.GIB, "50.0 GiB"), (1000, "2.9 KiB")])
def test_space_is_checked_before_anything_is_fetched(shelf, index, monkeypatch, size, wanted):
    """R2: 50 GB for the owner's own models, three times its size for a small one."""
    model = Model("m", "", Packaged("absent==1", "x"), size, "MIT", DIGEST)
    monkeypatch.setattr(models, "CATALOGUE", (model,))
    needed = models.FREE_FOR_LARGE if size > models.LARGE else 3 * size
    usage = shutil.disk_usage(".")._replace(free=needed - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(TwinError, match=rf"wants {wanted} before it is pulled: free some space"):
        shelf.pull("m")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=needed))
    with pytest.raises(TwinError, match="pip could not download"):
        shelf.pull("m")


def test_a_path_is_a_model_too(shelf, tmp_path):
    file = tmp_path / "own.gguf"
    with pytest.raises(TwinError, match=r"own\.gguf is missing"):
        shelf.open(str(file))
    file.write_bytes(CONTENT)
    assert shelf.open(str(file)) == (file, DIGEST)
    with pytest.raises(TwinError, match="no model is called 'nothing'; there are tiny, remote"):
        shelf.open("nothing")
    with pytest.raises(TwinError, match="is not here yet; run `twin models pull remote`"):
        shelf.open("remote")


def test_a_file_elsewhere_is_digested_once_until_it_changes(shelf, tmp_path, monkeypatch):
    """A base of 4 GiB takes some 10 s to read: not before every draft."""
    file = tmp_path / "own.gguf"
    file.write_bytes(CONTENT)
    read = []
    whole = artifact.sha256
    monkeypatch.setattr(artifact, "sha256", lambda path: read.append(path) or whole(path))
    assert [shelf.open(str(file))[1] for _ in range(3)] == [DIGEST] * 3
    assert len(read) == 1
    known = shelf.directory / models.DIGESTS
    assert known.stat().st_mode & 0o777 == 0o600
    file.write_bytes(CONTENT[:-1] + b"?")  # as long as before
    os.utime(file, ns=(1, 1))
    assert shelf.open(str(file))[1] != DIGEST
    file.write_bytes(CONTENT)
    for spoilt in ("{", "[]", json.dumps({str(file): [1]}), "{}"):
        known.write_text(spoilt)
        assert shelf.open(str(file))[1] == DIGEST


class Stub(ThreadingHTTPServer):
    """The hub's two answers: a redirect that states the digest, and the file in ranges."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answers)
        self.content, self.digest, self.cut, self.ranges = CONTENT, DIGEST, 0, True
        self.asked = []
        self.parts = {}
        """Further files: content by address."""
        self.small = {}
        """Files that are not in the large storage: content and git's digest by address."""

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answers(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.server.asked.append(("HEAD", self.path, ""))
        if self.path in self.server.parts:
            content = self.server.parts[self.path]
            self.redirect(f"{self.path}/stored", hashlib.sha256(content).hexdigest(), len(content))
            return
        if self.path in self.server.small:
            self.redirect(f"/api/resolve-cache{self.path}", "", 0)
            return
        if self.path.startswith("/api/resolve-cache"):
            content, digest = self.server.small[self.path.removeprefix("/api/resolve-cache")]
            self.send_response(200)
            if digest:
                self.send_header("ETag", f'W/"{digest}"')
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            return
        if self.path == "/storage":  # the storage itself states nothing
            self.send_response(200)
            self.end_headers()
            return
        if self.path != "/me/Tiny-GGUF/resolve/abc/tiny%20v1.gguf":
            self.send_error(404)
            return
        self.redirect("/storage", self.server.digest, len(self.server.content))

    def redirect(self, place, digest, size):
        self.send_response(302)
        self.send_header("Location", place)
        if digest:
            self.send_header("X-Linked-Etag", f'"{digest}"')
            self.send_header("X-Linked-Size", str(size))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self):
        asked = self.headers.get("Range", "")
        self.server.asked.append(("GET", self.path, asked))
        if self.path in self.server.parts:
            self.redirect(f"{self.path}/stored", "", 0)
            return
        if self.path in self.server.small:
            self.redirect(f"/api/resolve-cache{self.path}", "", 0)
            return
        if self.path.endswith("/stored") or self.path.startswith("/api/resolve-cache"):
            small = self.server.small.get(self.path.removeprefix("/api/resolve-cache"))
            content = small[0] if small else self.server.parts[self.path.removesuffix("/stored")]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            return
        if self.path != "/storage":
            self.redirect("/storage", self.server.digest, len(self.server.content))
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if self.server.ranges else 0
        rest = self.server.content[start:]
        self.send_response(206 if self.server.ranges else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: self.server.cut or None])

    def log_message(self, *details):
        """Not into the output of the tests."""


@pytest.fixture
def stub():
    with Stub() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_pull_from_the_hub_verifies_the_digest_that_the_hub_states(shelf, stub):
    seen = []
    path = shelf.pull("remote", hub=stub.address, on_bytes=lambda *now: seen.append(now))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert shelf.open("remote")[1] == DIGEST
    assert list((shelf.directory / ".partial").iterdir()) == []


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_goes_on_where_it_stopped(shelf, stub, ranges):
    stub.cut = 100_000
    with pytest.raises(TwinError, match=r"tiny%20v1.gguf could not be fetched .* is\s+kept"):
        shelf.pull("remote", hub=stub.address)
    assert shelf.state(REMOTE) == "absent"
    assert (shelf.directory / ".partial" / DIGEST).stat().st_size == 100_000
    stub.cut, stub.ranges = 0, ranges
    assert shelf.pull("remote", hub=stub.address).read_bytes() == CONTENT
    assert stub.asked[-1] == ("GET", "/storage", "bytes=100000-")


def test_a_download_that_arrives_damaged_is_not_kept(shelf, stub):
    stub.content = CONTENT[:-1] + b"?"
    with pytest.raises(TwinError, match="remote arrived damaged"):
        shelf.pull("remote", hub=stub.address)
    assert shelf.state(REMOTE) == "absent"
    stub.content = CONTENT
    assert shelf.pull("remote", hub=stub.address).read_bytes() == CONTENT


def test_what_the_hub_does_not_vouch_for_is_not_fetched(shelf, stub):
    stub.digest = ""
    with pytest.raises(TwinError, match="states no SHA-256"):
        shelf.pull("remote", hub=stub.address)
    assert {method for method, _, _ in stub.asked} == {"HEAD"}


def test_a_hub_that_is_away_or_does_not_know_the_file(shelf, stub):
    with pytest.raises(TwinError, match=r"could not be fetched.*\(HTTP 404\)"):
        shelf.pull("remote", hub=stub.address + "/elsewhere")
    with pytest.raises(TwinError, match="check the network connection"):
        shelf.pull("remote", hub="http://127.0.0.1:1")
    assert shelf.state(REMOTE) == "absent"


SPEAKERS = {"en-us": os.urandom(1_700), "fr": os.urandom(1_600)}
VOICE = Model(
    "voice",
    "tests",
    REMOTE.source,
    len(CONTENT),
    "MIT",
    DIGEST,
    file="checkpoint.pth",
    parts=tuple(
        models.Part(
            Hub("me/Voice", "abc", f"ses/{name}.pth"),
            f"speakers/{name}.pth",
            hashlib.sha256(content).hexdigest(),
        )
        for name, content in SPEAKERS.items()
    ),
)


@pytest.fixture
def voices(shelf, stub, monkeypatch):
    """The shelf with a model of several files, and a hub that has them."""
    monkeypatch.setattr(models, "CATALOGUE", (PACKAGED, VOICE))
    stub.parts = {
        f"/me/Voice/resolve/abc/ses/{name}.pth": content for name, content in SPEAKERS.items()
    }
    return shelf


def test_a_model_of_several_files_is_pulled_whole(voices, stub):
    seen = []
    path = voices.pull("voice", hub=stub.address, on_bytes=lambda *now: seen.append(now))
    assert path == voices.directory / "voice" / "checkpoint.pth"
    assert voices.open("voice") == (path, DIGEST)
    assert {file.stem: file.read_bytes() for file in path.parent.glob("speakers/*")} == SPEAKERS
    assert {total for _, total in seen} == {len(CONTENT)}  # one bar, for the large file
    modes = {file.stat().st_mode & 0o777 for file in path.parent.rglob("*") if file.is_file()}
    assert modes == {0o600}
    stub.asked.clear()
    assert voices.pull("voice", hub=stub.address) == path
    assert stub.asked == []


def test_a_part_that_is_missing_or_spoilt_is_damage(voices, stub):
    path = voices.pull("voice", hub=stub.address)
    part = path.parent / "speakers" / "fr.pth"
    for spoil in (lambda: part.write_bytes(b"x" * 1_600), part.unlink):
        spoil()
        stub.asked.clear()
        assert voices.state(VOICE) == "damaged"
        with pytest.raises(TwinError, match=r"voice is damaged.*twin models pull voice"):
            voices.open("voice")
        voices.pull("voice", hub=stub.address)
        assert voices.state(VOICE, thorough=True) == "ready"
        # One small file alone was fetched anew; the large one was here, whole.
        fetched = [address for method, address, _ in stub.asked if method == "HEAD"]
        assert fetched == ["/me/Voice/resolve/abc/ses/fr.pth"]


def test_a_part_that_is_another_now_costs_no_large_download(voices, stub):
    stub.parts["/me/Voice/resolve/abc/ses/fr.pth"] = b"another"
    with pytest.raises(TwinError, match=r"fr\.pth is another file now"):
        voices.pull("voice", hub=stub.address)
    assert voices.state(VOICE) == "absent"
    assert ("GET", "/storage", "bytes=0-") not in stub.asked


SMALL = b'{"a": 1}'
SMALL_ADDRESS = "/me/Voice/resolve/abc/config.json"


def git_digest(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def with_small_part(monkeypatch, pinned=None):
    """A model with a file that is not in the hub's large storage."""
    part = models.Part(Hub("me/Voice", "abc", "config.json"), "config.json", pinned)
    model = Model("small", "tests", REMOTE.source, len(CONTENT), "MIT", DIGEST, parts=(part,))
    monkeypatch.setattr(models, "CATALOGUE", (model,))
    return model


def test_a_small_file_is_verified_by_gits_digest(shelf, stub, monkeypatch):
    """As `git hash-object` computes it; the hub states no SHA-256 for what is not in LFS."""
    assert git_digest(b"what is up, doc?") == "bd9dbf5aae1a3862dd1526723246b20206e5fc37"
    model = with_small_part(monkeypatch)
    stub.small[SMALL_ADDRESS] = (b"damaged", git_digest(SMALL))
    with pytest.raises(TwinError, match=r"small arrived damaged \(config.json\): git blob"):
        shelf.pull("small", hub=stub.address)
    stub.small[SMALL_ADDRESS] = (SMALL, git_digest(SMALL))
    path = shelf.pull("small", hub=stub.address)
    config = path.with_name("config.json")
    assert config.read_bytes() == SMALL
    assert shelf.state(model, thorough=True) == "ready"
    config.write_bytes(b'{"a": 2}')
    assert shelf.state(model) == "damaged"


def test_a_pinned_file_needs_no_digest_of_the_hubs(shelf, stub, monkeypatch):
    with_small_part(monkeypatch, hashlib.sha256(SMALL).hexdigest())
    stub.small[SMALL_ADDRESS] = (SMALL + b" ", "")
    with pytest.raises(TwinError, match=r"arrived damaged \(config.json\): SHA-256"):
        shelf.pull("small", hub=stub.address)
    stub.small[SMALL_ADDRESS] = (SMALL, "")
    assert shelf.pull("small", hub=stub.address).with_name("config.json").read_bytes() == SMALL


def test_a_small_file_without_any_digest_is_not_fetched(shelf, stub, monkeypatch):
    with_small_part(monkeypatch)
    stub.small[SMALL_ADDRESS] = (SMALL, "")
    with pytest.raises(TwinError, match="states no SHA-256"):
        shelf.pull("small", hub=stub.address)
    assert {method for method, _, _ in stub.asked} == {"HEAD"}


def test_another_file_on_the_hub_is_refused_before_it_is_downloaded(voices, stub):
    stub.digest = hashlib.sha256(b"another").hexdigest()
    with pytest.raises(TwinError, match=r"tiny%20v1.gguf is another file now.*newer AI Twin"):
        voices.pull("voice", hub=stub.address)
    assert "/storage" not in {address for _, address, _ in stub.asked}


@pytest.fixture
def group(shelf, index, stub, monkeypatch):
    """A package, a model of several files, and a group of both."""
    index()
    monkeypatch.setattr(models, "CATALOGUE", (PACKAGED, VOICE))
    monkeypatch.setattr(models, "GROUPS", {"all": ("tiny", "voice")})
    stub.parts = {
        f"/me/Voice/resolve/abc/ses/{name}.pth": content for name, content in SPEAKERS.items()
    }
    return shelf


def test_a_group_is_pulled_with_one_summary(group, stub):
    said, seen = [], []
    group.pull_group("all", said.append, hub=stub.address, on_bytes=lambda *now: seen.append(now))
    assert said[:3] == [
        f"downloading {models.size(2 * len(CONTENT))}:",
        "  tiny: 293.0 KiB, licence Apache-2.0",
        "  voice: 293.0 KiB, licence MIT",
    ]
    assert {total for _, total in seen} == {2 * len(CONTENT)}
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == 2 * len(CONTENT)
    assert left(group) == [".partial", "tiny", "voice"]
    stub.asked.clear()
    said.clear()
    group.pull_group("all", said.append, hub=stub.address)
    assert stub.asked == []
    assert [text.split(" is ")[1] for text in said] == ["here already (293.0 KiB, verified)"] * 2


def test_one_that_fails_keeps_no_other_from_a_group(group, stub, index, monkeypatch):
    """The hub breaks off, the package has another file: both are told, and mended in turn."""
    index(b"another")
    stub.cut = 100_000
    with pytest.raises(TwinError, match=r"2 of 2 could not be pulled; .*models pull all") as error:
        group.pull_group("all", hub=stub.address)
    assert "tiny arrived damaged" in str(error.value)
    assert "could not be fetched" in str(error.value)
    index()
    with pytest.raises(TwinError, match="1 of 2 could not be pulled"):
        group.pull_group("all", hub=stub.address)
    assert group.state(PACKAGED) == "ready"
    stub.cut = 0
    said = []
    group.pull_group("all", said.append, hub=stub.address)
    assert said[0].startswith("tiny is here already")
    # 100,000 bytes came with the first try, 100,000 with the second.
    assert stub.asked[-1] == ("GET", "/storage", "bytes=200000-")
    assert group.state(VOICE, thorough=True) == "ready"


def test_two_pulls_do_not_write_into_each_others_file(shelf, stub):
    partial = artifact.make_private_dir(shelf.directory / ".partial")
    with (
        artifact.holding(partial),
        pytest.raises(TwinError, match="another pull is fetching into"),
    ):
        shelf.pull("remote", hub=stub.address)
    assert shelf.pull("remote", hub=stub.address).read_bytes() == CONTENT


def test_a_group_wants_space_for_all_of_it(group, stub, monkeypatch):
    """R2: what is here already wants none."""
    usage = shutil.disk_usage(".")
    free = 6 * len(CONTENT) - 1
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=free))
    with pytest.raises(TwinError, match=r"tiny, voice want 1.7 MiB before they are pulled"):
        group.pull_group("all", hub=stub.address)
    assert stub.asked == []
    group.pull("tiny")
    group.pull_group("all", hub=stub.address)


def test_a_pickled_dictionary_is_kept_as_text(shelf, index, monkeypatch):
    words = {"HELLO": [["HH", "AH0"], ["L", "OW1"]], "A": [["AH0"]]}
    pickled = pickle.dumps(words)
    text = b"HELLO  HH AH0 - L OW1\nA  AH0\n"
    source = Packaged("tiny-model==1.0", MEMBER, pickle=hashlib.sha256(pickled).hexdigest())
    digest = hashlib.sha256(text).hexdigest()
    model = Model("words", "tests", source, len(text), "MIT", digest, file="words.rep")
    monkeypatch.setattr(models, "CATALOGUE", (model,))
    index(pickled)
    assert shelf.pull("words").read_bytes() == text


class Bomb:
    """What a pickle must not do when it is read."""

    def __reduce__(self):
        return os.abort, ()


def test_no_pickle_runs_anything(shelf, index, monkeypatch):
    """Neither one that was exchanged, nor one with the digest that is expected."""
    bomb = pickle.dumps({"HELLO": Bomb()})
    index(bomb)
    for digest, words in ((DIGEST, "arrived damaged"), (hashlib.sha256(bomb).hexdigest(), "names")):
        source = Packaged("tiny-model==1.0", MEMBER, pickle=digest)
        model = Model("words", "tests", source, 1, "MIT", DIGEST, file="words.rep")
        monkeypatch.setattr(models, "CATALOGUE", (model,))
        with pytest.raises(TwinError, match=words):
            shelf.pull("words")
        assert left(shelf) == []
