"""Where batches are: windows and tracks as pure functions of (seed, epoch, number of the batch)."""

from .keyed import Draw, keyed_generator
from .random_windows import RandomWindows
from .region_windows import RegionWindows
from .stream_windows import StreamWindows
from .tiled_windows import TiledWindows
from .tracks import SampledTracks, StreamTracks, TrackSampler
from .windows import PositionSampler, Windows

__all__ = [
    "Draw",
    "PositionSampler",
    "RandomWindows",
    "RegionWindows",
    "SampledTracks",
    "StreamTracks",
    "StreamWindows",
    "TiledWindows",
    "TrackSampler",
    "Windows",
    "keyed_generator",
]
