"""What may be read and what is written, in ffmpeg's words. Pure.

A file named ``.mp3`` can be a script or a playlist that names other files and addresses, and ffmpeg follows it unless
it is told not to. So what it may open is listed, not what it may not: one protocol, the containers that hold their own
sound, the codecs that sound comes in. Nothing is learnt from the file's name.
"""

from typing import Final

__all__ = ["ENCODER", "MEDIA_TYPE", "UNTAGGED", "only"]

MEDIA_TYPE: Final = "audio/ogg; codecs=opus"
ENCODER: Final = ("-c:a", "libopus", "-b:a", "32k", "-vbr", "constrained", "-application", "audio")
"""32 kbit/s, as even as the codec can: a month's traffic is counted. ``voip`` would filter the chime and music."""
UNTAGGED: Final = ("-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact")
"""No titles, dates or random serial numbers: the same sound gives the same bytes, so the same digest."""

CONTAINERS: Final = "aac,aiff,amr,asf,au,caf,flac,matroska,mov,mp3,ogg,wav,w64,wv"
"""Demuxers that open no second file. ``mov`` is also m4a, mp4 and 3gp; ``asf`` is wma; ``matroska`` is webm."""

_PCM: Final = ("s16", "s24", "s32", "u16", "u24", "u32", "f32", "f64")
CODECS: Final = ",".join(
    (
        "aac,aac_latm,alac,flac,mp1,mp1float,mp2,mp2float,mp3,mp3float,opus,libopus,vorbis,libvorbis,speex,libspeex",
        "ac3,eac3,amrnb,amrwb,libopencore_amrnb,libopencore_amrwb,wavpack,wmav1,wmav2,wmapro,wmalossless,wmavoice",
        "adpcm_ima_qt,adpcm_ima_wav,adpcm_ms,adpcm_yamaha,gsm,gsm_ms,pcm_alaw,pcm_mulaw,pcm_s8,pcm_u8",
        *(f"pcm_{kind}{order}" for kind in _PCM for order in ("le", "be")),
    )
)
"""Decoders. The picture inside an MP3 finds none, so it is not even probed."""


def only(*, protocol: str, containers: str = CONTAINERS) -> tuple[str, ...]:
    """Return the options, to be given before ``-i``, that bound what an input may open; its video is never touched."""
    allowed = ("-protocol_whitelist", protocol, "-format_whitelist", containers, "-codec_whitelist", CODECS)
    return (*allowed, "-vn", "-sn", "-dn")
