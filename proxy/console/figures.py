"""Numbers as people read them, in pages and in terminals. An unknown is ``-``, never 0."""

from __future__ import annotations

from datetime import datetime

UNKNOWN = "-"
_NANO = 1_000_000_000


def short_id(call_id: str) -> str:
    """The last 8 hex digits of an id: its random end."""
    return call_id.replace("-", "")[-8:]


def duration(us: int | None) -> str:
    """``0.4ms 812ms 1.23s 12.3s 2m05s 1h02m``: six characters at most, up to 99 hours."""
    if us is None:
        return UNKNOWN
    if us < 999_500:
        return f"{us / 1000:.1f}ms" if us < 9_950 else f"{us / 1000:.0f}ms"
    seconds = us / 1_000_000
    if seconds < 99.95:
        return f"{seconds:.2f}s" if seconds < 9.995 else f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"


def count(number: int | None) -> str:
    """``87 1.2k 12k 123k 1.2M``: four characters at most, up to 999 million."""
    if number is None:
        return UNKNOWN
    for unit, name in ((1_000_000_000, "G"), (1_000_000, "M"), (1000, "k")):
        if number >= unit * 0.9995:
            scaled = number / unit
            return f"{scaled:.1f}{name}" if scaled < 9.95 else f"{scaled:.0f}{name}"
    return str(number)


def size(number: int | None) -> str:
    """``512 B 12 kB 4.1 MB``, in powers of 1000."""
    if number is None:
        return UNKNOWN
    text = count(number)
    return f"{text[:-1]} {text[-1]}B" if text[-1].isalpha() else f"{text} B"


def money(nano_usd: int | None) -> str:
    """Dollars with three digits that matter: ``$12.34 $0.0123 $0.0000004 -$3.21``."""
    if nano_usd is None:
        return UNKNOWN
    if nano_usd == 0:
        return "$0"
    leading = len(str(abs(nano_usd))) - 10  # the power of ten of its first digit, in dollars
    places = min(9, max(2, 2 - leading))
    text = f"{abs(nano_usd) / _NANO:,.{places}f}"
    return f"{'-' * (nano_usd < 0)}${text if places == 2 else _without_zeros(text)}"


def exact_dollars(nano_usd: int) -> str:
    """Every digit, as a decimal number without a sign for the currency: ``0.000415``."""
    sign, amount = ("-", -nano_usd) if nano_usd < 0 else ("", nano_usd)
    return sign + _without_zeros(f"{amount // _NANO}.{amount % _NANO:09d}")


def dollars(nano_usd: int | None) -> float | None:
    """For JSON: the float whose shortest form is the exact amount (up to some million dollars)."""
    return None if nano_usd is None else nano_usd / _NANO


def tokens(input_tokens: int | None, output_tokens: int | None, source: str | None) -> str:
    """``1.2k→87``; ``~`` in front says that it is an estimate."""
    if input_tokens is None and output_tokens is None:
        return UNKNOWN
    return f"{'~' if source == 'estimated' else ''}{count(input_tokens)}→{count(output_tokens)}"


def local(us: int) -> datetime:
    """A moment on the clock of this machine."""
    return datetime.fromtimestamp(us / 1_000_000).astimezone()


def clock_time(us: int) -> str:
    """``14:03:11``, local."""
    return local(us).strftime("%H:%M:%S")


def date_time(us: int) -> str:
    """``2025-11-13 14:03:11``, local."""
    return local(us).strftime("%Y-%m-%d %H:%M:%S")


def _without_zeros(text: str) -> str:
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


TEXT_MAX = 20_000  #: characters of one text on a page; the rest is said, and loaded when asked for


def shortened(text: str, most: int = TEXT_MAX) -> str:
    """A text as long as a page bears it, and how much more there is."""
    return text if len(text) <= most else f"{text[:most]}\n… and {len(text) - most:,} characters more"
