"""SizeRule: which segment sizes and lengths a world may ask for."""

from __future__ import annotations

from dataclasses import dataclass

from model.supported import SupportedSize
from service.worlds import limits


@dataclass(frozen=True)
class SizeRule:
    """Which segment sizes and lengths a world may ask for.

    Attributes:
        made: what the model makes, and what counts where the world does not say.
        others_too: take others as well: the world was accepted before, or the server that it goes to decides.
    """

    made: SupportedSize = limits.SHIPPED
    others_too: bool = False

    def has_frames(self, frames: int) -> bool:
        """Whether a segment may have so many frames."""
        return 1 <= frames <= limits.MAX_FRAMES if self.others_too else frames in self.made.frame_counts

    def has_size(self, width_px: int, height_px: int) -> bool:
        """Whether its pictures may have this size."""
        if self.others_too:
            return 1 <= width_px <= limits.MAX_SIZE_PX and 1 <= height_px <= limits.MAX_SIZE_PX
        return (width_px, height_px) == (self.made.width, self.made.height)

    @property
    def frames_text(self) -> str:
        """The lengths in words."""
        return f"1 to {limits.MAX_FRAMES}" if self.others_too else self.made.lengths

    @property
    def size_text(self) -> str:
        """The picture sizes in words."""
        ours = f"[{self.made.width}, {self.made.height}]"
        return f"[1, 1] to [{limits.MAX_SIZE_PX}, {limits.MAX_SIZE_PX}]" if self.others_too else ours


OF_THE_SHIPPED = SizeRule()
"""What the weights that Narthex ships make."""
ANY_SIZE = SizeRule(others_too=True)
"""Where somebody else decides: a world is only looked at, or on its way to a server."""
