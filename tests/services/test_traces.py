"""What watchers wrote down is read right, and what cannot be read counts as outside (P1).

The lines of strace and of Python are of strace 6.1 and Python 3.11, run on Linux 6.18.
"""

import json

import pytest

from aitwin.services import traces, watcher
from aitwin.services.traces import Attempt


def told(attempts):
    return [(one.program, one.call, one.destination, one.verdict) for one in attempts]


STRACE = """\
8 execve("/usr/bin/python3", [...], 0x7ffe8fd224e0 /* 35 vars */) = 0
8 clone3({flags=CLONE_VM|CLONE_THREAD, child_tid=0x7f, stack_size=0x7f, tls=0x7f} => {parent_tid=[9]}, 88) = 9
9 connect(3, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("192.0.2.1")}, 16) = -1 ENETUNREACH (Network is unreachable)
8 sendto(3, ""..., 12, 0, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("192.0.2.2")}, 16 <unfinished ...>
9 +++ exited with 0 +++
8 <... sendto resumed>)             = -1 ENETUNREACH (Network is unreachable)
8 sendmsg(4, {msg_name={sa_family=AF_INET6, sin6_port=htons(53), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "2001:db8::1", &sin6_addr), sin6_scope_id=0}, msg_namelen=28, msg_iov=[...], msg_iovlen=1, msg_controllen=0, msg_flags=0}, 0) = -1 EADDRNOTAVAIL (Cannot assign requested address)
8 connect(3, {sa_family=AF_UNIX, sun_path="/home/a/run/api.sock"}, 91) = 0
8 connect(5, {sa_family=AF_UNIX, sun_path=@"abstract"}, 11) = -1 ECONNREFUSED (Connection refused)
8 sendto(5, ""..., 124, 0, NULL, 0) = 124
8 connect(5, {sa_family=AF_INET, sin_port=htons(8787), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
8 bind(3, {sa_family=AF_INET, sin_port=htons(8787), sin_addr=inet_addr("0.0.0.0")}, 16) = 0
8 bind(6, {sa_family=AF_NETLINK, nl_pid=0, nl_groups=00000000}, 12) = 0
8 vfork( <unfinished ...>
10 execve("/usr/bin/deno", [...], 0x7ffe8fd224e0 /* 35 vars */) = 0
8 <... vfork resumed>)              = 10
10 connect(7, 0x7ffe0000, 16) = -1 EFAULT (Bad address)
10 connect(7, {sa_family=AF_VSOCK, svm_cid=VMADDR_CID_HOST, svm_port=22}, 16) = -1 ENODEV (No such device)
8 +++ exited with 0 +++
"""  # noqa: E501


def test_every_call_of_strace_is_judged_and_given_to_its_program():
    assert told(traces.of_strace(STRACE)) == [
        ("python3", "connect", "192.0.2.1:443", "outside"),
        ("python3", "sendto", "192.0.2.2:53", "outside"),
        ("python3", "sendmsg", "[2001:db8::1]:53", "outside"),
        ("python3", "connect", "/home/a/run/api.sock", "unix"),
        ("python3", "connect", "@abstract", "unix"),
        ("python3", "connect", "127.0.0.1:8787", "loopback"),
        ("python3", "bind", "0.0.0.0:8787", "outside"),
        ("python3", "bind", "AF_NETLINK", "kernel"),
        ("deno", "connect", "unreadable", "outside"),
        ("deno", "connect", "AF_VSOCK", "outside"),
    ]
    assert {one.program for one in traces.of_strace(STRACE, {8: "twin write"})} == {
        "twin write",
        "deno",
    }


def test_a_trace_is_whole_when_its_first_process_has_ended():
    assert traces.settled(STRACE)
    assert not traces.settled(STRACE.rpartition("8 +++")[0])
    assert not traces.settled("")


@pytest.mark.parametrize(
    ("host", "port", "call", "verdict"),
    [
        ("127.0.0.1", "8787", "connect", "loopback"),
        ("127.9.9.9", "1", "connect", "loopback"),
        ("::1", "8787", "connect", "loopback"),
        ("::ffff:127.0.0.1", "8787", "connect", "loopback"),
        ("::ffff:192.0.2.1", "8787", "connect", "outside"),
        ("10.0.0.1", "443", "connect", "outside"),  # another machine at home is outside, too
        ("169.254.169.254", "80", "connect", "outside"),
        ("0.0.0.0", "8787", "connect", "loopback"),  # noqa: S104
        ("0.0.0.0", "8787", "bind", "outside"),  # noqa: S104
        ("0.0.0.0", "0", "bind", "outside"),  # noqa: S104
        ("fe80::1%eth0", "80", "connect", "outside"),
        ("127.0.0.53", "53", "connect", "outside"),  # systemd-resolved asks the world
        ("localhost", "80", "connect", "loopback"),
        ("localhost.example", "80", "connect", "outside"),
    ],
)
def test_only_this_machine_is_within(host, port, call, verdict):
    assert traces.judged(host, port, call)[1] == verdict


def test_a_resolver_behind_a_unix_socket_is_outside():
    line = (
        '8 connect(5, {sa_family=AF_UNIX, sun_path="/run/systemd/resolve/io.systemd.Resolve"}, 42)'
    )
    assert [one.verdict for one in traces.of_strace(line)] == ["outside"]


def test_names_that_python_looks_up_are_told():
    rows = [
        {"call": "start"},
        {"call": "getaddrinfo", "family": 0, "host": "huggingface.co", "port": ""},
        {"call": "getaddrinfo", "family": 0, "host": "127.0.0.1", "port": ""},
        {"call": "connect", "family": 2, "host": "192.0.2.1", "port": "443"},
        {"call": "connect", "family": 1, "host": "/a.sock", "port": ""},
        {"call": "connect", "family": 40, "host": "2", "port": "22"},
    ]
    text = "".join(json.dumps({"pid": 7, "program": "twin write", **row}) + "\n" for row in rows)
    found = list(traces.of_python(text + "{half a li\n"))
    assert [(one.destination, one.verdict) for one in found] == [
        ("name of huggingface.co", "outside"),
        ("127.0.0.1", "loopback"),
        ("192.0.2.1:443", "outside"),
        ("/a.sock", "unix"),
        ("AF_VSOCK", "outside"),
        ("unreadable", "outside"),
    ]
    assert traces.programs(text) == {7: "twin write"}


def test_the_hook_names_programs_without_the_owners_words():
    python = "/x/bin/python"
    assert watcher.program([python, "-m", "aitwin", "write", "my secret"]) == "twin write"
    assert watcher.program([python, "-m", "aitwin.server", "--socket", "/a"]) == "aitwin.server"
    assert watcher.program([python, "/x/bin/twin.py", "secret"]) == "twin.py"
    assert watcher.program([python, "-c", "secret"]) == "python"


def test_what_the_page_asks_for_is_told_from_what_the_browser_does_by_itself():
    """Chromium 150's net log, shortened: a page with a picture from elsewhere."""
    urls = [
        ("http://clients2.google.com/time/1/current?cup2key=10", "not an origin"),
        ("http://127.0.0.1:8787/", "not an origin"),
        ("http://127.0.0.1:8787/api/state", "http://127.0.0.1:8787"),
        ("http://192.0.2.1/x.png", "http://127.0.0.1:8787"),
        ("ws://192.0.2.7/secret", "http://127.0.0.1:8787"),
        ("data:image/png;base64,aaaa", "http://127.0.0.1:8787"),
    ]
    events = [
        {"type": 2, "phase": 1, "params": {"url": url, "initiator": who}} for url, who in urls
    ]
    document = {
        "constants": {"logEventTypes": {"URL_REQUEST_START_JOB": 2}},
        "events": [*events, {"type": 9, "params": {"url": "http://other.example"}}],
    }
    assert told(traces.of_net_log(document)) == [
        ("browser itself", "request", "http://clients2.google.com", "browser"),
        ("page", "request", "http://127.0.0.1:8787", "loopback"),
        ("page", "request", "http://127.0.0.1:8787", "loopback"),
        ("page", "request", "http://192.0.2.1", "outside"),
        ("page", "request", "ws://192.0.2.7", "outside"),
    ]


def test_what_macos_denied_is_read_from_its_log():
    """Variants as people recorded them: telegramdesktop/tdesktop#716 (OS X 10.10, no count),

    anthropic-experimental/sandbox-runtime#599 (no address), nolabs-ai/nono#590 (mDNSResponder), and
    logs of macOS 15 and 26 in public repositories (remote:*:443, an address, duplicate reports).
    """
    log = """\
Timestamp                       Ty Process[PID:TID]
2026-09-21 13:40:48.1 E  kernel[0:1] (Sandbox) Sandbox: curl(13590) deny(1) network-outbound remote:*:443
aitwin-sandbox
2026-09-21 13:40:48.1 E  kernel[0:1] (Sandbox) Sandbox: python3.12(9) deny(1) network-outbound 1.1.1.1:443
aitwin-sandbox
2026-09-21 13:40:48.1 E  kernel[0:1] (Sandbox) 3 duplicate reports for Sandbox: deno(77) deny(1) network-outbound /private/var/run/mDNSResponder
aitwin-sandbox
May 12 16:13:57 bilbo kernel[0] <Notice>: Sandbox: mdworker(36488) deny network-outbound /private/var/run/mDNSResponder
2026-09-21 13:40:48.1 E  kernel[0:1] (Sandbox) Sandbox: python3.12(9) deny(1) network-outbound
aitwin-sandbox
2026-09-21 13:40:48.1 E  kernel[0:1] (Sandbox) Sandbox: bash(5) deny(1) file-write-create /Users/x/out.txt
2026-09-21 13:40:48.1 E  kernel[0:1] (Sandbox) Sandbox: Google Chrome He(6) deny(1) mach-lookup com.apple.dnssd.service
"""  # noqa: E501
    assert told(traces.of_denials(log, {9: "twin write"})) == [
        ("curl", "network-outbound", "remote:*:443", "outside"),
        ("twin write", "network-outbound", "1.1.1.1:443", "outside"),
        ("deno", "network-outbound", "/private/var/run/mDNSResponder", "outside"),
        ("mdworker", "network-outbound", "/private/var/run/mDNSResponder", "outside"),
        ("twin write", "network-outbound", "no address", "kernel"),
        ("Google Chrome He", "mach-lookup", "com.apple.dnssd.service", "outside"),
    ]


def test_the_same_attempts_are_counted_and_those_outside_come_first():
    within = Attempt("strace", "a", "connect", "127.0.0.1:1", "loopback")
    outside = Attempt("strace", "z", "connect", "192.0.2.1:1", "outside")
    found = traces.counted([within, outside, within])
    assert [(one.program, one.times) for one in found] == [("z", 1), ("a", 2)]
