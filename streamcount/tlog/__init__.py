"""The pure C2SP part: signed notes, checkpoints, Merkle trees and tiles. Knows nothing of viewers."""
