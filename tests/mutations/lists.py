"""All planted faults, by group."""

from analysis import ANALYSIS_FAULTS
from core import CORE_FAULTS
from cuda import CUDA_FAULTS
from data import DATA_FAULTS
from default_budget import DEFAULT_BUDGET_FAULTS
from files import FILE_FAULTS
from model import MODEL_FAULTS
from package import PACKAGE_FAULTS
from parts import PART_FAULTS
from training import TRAINING_FAULTS

GROUPS = {
    "core": CORE_FAULTS,
    "default top_k": DEFAULT_BUDGET_FAULTS,
    "cuda": CUDA_FAULTS,
    "training": TRAINING_FAULTS,
    "data": DATA_FAULTS,
    "files": FILE_FAULTS,
    "model": MODEL_FAULTS,
    "analysis": ANALYSIS_FAULTS,
    "package": PACKAGE_FAULTS,
    "parts": PART_FAULTS,
}
