"""What is done to windows and values: augmentation, steps per track, moving average."""

from .augmentation import Augmentation
from .smoothing import moving_average
from .steps import Chain, Clip, Function, Log1p, Power, Scale, SoftClip, Transform
from .track_transforms import TrackTransforms

__all__ = [
    "Augmentation",
    "Chain",
    "Clip",
    "Function",
    "Log1p",
    "Power",
    "Scale",
    "SoftClip",
    "TrackTransforms",
    "Transform",
    "moving_average",
]
