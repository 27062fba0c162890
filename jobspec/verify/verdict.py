"""What a verification says.

ACCEPT          replayed in full: every field follows from the job and its data, and what lies beside matches
ACCEPT-SAMPLED  the drawn segments were replayed, and each came out as claimed
CONSISTENT      of another class of devices (profile `fast`): near enough where it could be looked at; no bit confirmed
REJECT          something differs; the reasons name it
UNVERIFIABLE    cannot be replayed here: unknown job or profile, missing data, open chain
MALFORMED       not a receipt in its canonical form
"""

from __future__ import annotations

from dataclasses import dataclass, field

ACCEPT, ACCEPT_SAMPLED, CONSISTENT, REJECT, UNVERIFIABLE, MALFORMED = (
    "ACCEPT",
    "ACCEPT-SAMPLED",
    "CONSISTENT",
    "REJECT",
    "UNVERIFIABLE",
    "MALFORMED",
)

EXIT_CODES = {ACCEPT: 0, ACCEPT_SAMPLED: 0, REJECT: 4, MALFORMED: 4, CONSISTENT: 5, UNVERIFIABLE: 5}


@dataclass(frozen=True)
class Verdict:
    """`reasons`: what differs or is missing, one sentence each; `checked`: what was compared and agreed."""

    word: str
    reasons: tuple[str, ...] = ()
    checked: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        return self.word in (ACCEPT, ACCEPT_SAMPLED)

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.word]

    def __str__(self) -> str:
        return "\n".join([self.word, *(f"  {line}" for line in (*self.reasons, *self.checked))])


@dataclass
class Findings:
    """Verdicts in the making: differences and agreements in the order they were found."""

    differences: list[str] = field(default_factory=list)
    agreements: list[str] = field(default_factory=list)

    def verdict(self) -> Verdict:
        word = REJECT if self.differences else ACCEPT
        return Verdict(word, tuple(self.differences), tuple(self.agreements))
