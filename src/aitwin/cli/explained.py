"""Which errors an owner can mend, and how that is said. All others are bugs."""

import errno

from aitwin.errors import TwinError

# What an owner can mend in a file system: no room, no right, not there, not of that kind.
_MENDABLE = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "your quota of disk space is used up; free some space",
    errno.EFBIG: "the file grew larger than this machine allows; raise the limit (ulimit -f)",
    errno.EACCES: "no permission; make it yours",
    errno.EPERM: "no permission; make it yours",
    errno.EROFS: "the disk is read-only; choose another place",
    errno.ENOENT: "it is not there; check the path",
    errno.ENOTDIR: "a part of the path is a file; check the path",
    errno.EISDIR: "it is a directory; give a file",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


def explanation(error: BaseException) -> str:
    """What to tell the owner; empty when it is a bug."""
    if isinstance(error, TwinError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        return _missing(error)
    if isinstance(error, OSError) and error.errno in _MENDABLE:
        return f"{error.filename or 'TWIN_HOME'}: {_MENDABLE[error.errno]}, and run it again"
    return ""


def _missing(error: ModuleNotFoundError) -> str:
    """What to install for a module that is not there; empty for a bug of ours."""
    from aitwin.services.doctor import EXTRAS, PARTS

    module = (error.name or "").partition(".")[0]
    if module in ("", "aitwin"):
        return ""
    extras = [EXTRAS[part] for part, modules in PARTS.items() if module in modules]
    wanted = f"aitwin[{extras[0] if extras else 'all'}]"
    return f"this needs {module}, which is not installed; run: pip install '{wanted}'"
