"""The training dataset: ``settings`` say what, ``sampling`` where, ``reading`` how, ``iterator`` when."""

from .dataset import BigWigDataset
from .stats import DatasetStats

__all__ = ["BigWigDataset", "DatasetStats"]
