"""Small networks that lie as ONNX files in installed packages, run by ONNX Runtime on one thread.

The packages themselves are never imported: they pull in torch, librosa or pandas for nothing.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from aitwin.errors import TwinError

REMEDY = "run `pip install 'aitwin[clone]'`"


def open_(package: str, file: str) -> Any:
    """An `onnxruntime.InferenceSession` of `file`, a path inside `package`.

    Safe to run from several threads; each run uses the caller's thread alone.
    Raises TwinError when the package, its file or ONNX Runtime is missing or damaged.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise TwinError(f"the package {package} is not installed; {REMEDY}")
    path = Path(spec.origin).parent / file
    if not path.is_file():
        raise TwinError(f"{package} is installed without its {path.name}; {REMEDY}")
    try:
        import onnxruntime
    except ImportError as error:
        raise TwinError(f"onnxruntime does not load ({type(error).__name__}); {REMEDY}") from None
    options = onnxruntime.SessionOptions()
    # Takes are prepared side by side: one thread each beats many threads for one.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # What a run took is given back: DNSMOS would keep 0.2 GB for each thread.
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3  # errors only: warnings of the graph are no use to the owner
    try:
        return onnxruntime.InferenceSession(
            str(path), sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # noqa: BLE001 - its exceptions derive from nothing narrower
        raise TwinError(f"{path} does not load ({type(error).__name__}); {REMEDY}") from None
