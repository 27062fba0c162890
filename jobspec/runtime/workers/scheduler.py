"""Tasks on workers: each once, again where something went wrong, a sample of them twice.

Takes: works, a crew. Promises: the values that the tasks' programs have, however workers die, hang, come late, lose
values, join and leave; an answer to an attempt that was given up is ignored. Of all answers a share drawn by chance is
computed a second time elsewhere before anything is handed out; where two differ a third decides, and the head's own
computation where there is no third. Raises Liar naming who was wrong; Gone for a given value that is nowhere any more;
JobspecError E0521 where nobody is left, E0522 where nobody can.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jobspec.ir.digest import Digest
from jobspec.passes.split.graph import Task
from jobspec.runtime.workers.cases import HEAD, Case, Key, Said, said
from jobspec.runtime.workers.crew import Crew, Done, Event, Gone, Joined, Left, Lost, Order, Parcel, Refused
from jobspec.runtime.workers.hands import Hand, Hands, Patience
from jobspec.runtime.workers.tally import Tally
from jobspec.runtime.workers.timeline import Span, Timeline
from jobspec.runtime.workers.trouble import Liar, nobody_can, nobody_left
from jobspec.runtime.workers.work import FIRST, Part, Work, Worked
from jobspec.store.checkpoint import array_digest

#: seconds to wait for something to happen before limits are looked at again
TICK = 0.25
#: times that a worker may lose a task's values
LOSSES = 3
#: workers that may die at one task
DEATHS = 20


@dataclass
class Attempt:
    """`check`: the answer is only to be compared."""

    key: Key
    order: Order
    check: bool


class Scheduler:
    """`recheck`: the share of answers that are computed again; `referee`: an order computed on the head; `tell`: hears
    sentences for the user; `chance`: draws the sample."""

    def __init__(
        self,
        crew: Crew,
        referee: Callable[[Order], Said],
        recheck: float = 0.0,
        patience: Patience | None = None,
        tell: Callable[[str], None] = lambda text: None,
        chance: random.Random | None = None,
        tally: Tally | None = None,
        timeline: Timeline | None = None,
    ) -> None:
        self.crew, self.referee, self.recheck, self.tell = crew, referee, recheck, tell
        self.hands, self.tally = Hands(patience or Patience()), tally or Tally()
        self.timeline = timeline or Timeline()
        self.chance = chance or random.SystemRandom()
        self._attempts = 0
        self._texts: dict[Digest, Parcel] = {}
        self._alone_since: float | None = None
        self._said = False
        self._met = False

    def run(self, works: Sequence[Work]) -> list[Worked]:
        """All tasks of `works`, whose tasks may run side by side."""
        for hand in self.hands.names.values():
            hand.age()
        return Round(self, works).run()

    def attempt(self) -> int:
        """A number that no attempt had before."""
        self._attempts += 1
        return self._attempts

    def text(self, work: Work, task: int) -> Parcel:
        """A task's program, for workers to take."""
        array = work.prepared.texts[task]
        name = array_digest(array)
        if name not in self._texts:
            self._texts[name] = self.crew.share(array, name)
        return self._texts[name]

    def forget(self, programs: Sequence[Digest]) -> None:
        """Programs whose text is lost are shared anew."""
        for name in programs:
            self._texts.pop(name, None)

    def joined(self, event: Joined) -> None:
        self.hands.names[event.worker] = Hand(event.worker, event.about)
        self.tally.workers = len(self.hands.names)
        self._alone_since, self._met = None, True
        self.tell(f"{event.worker} is here: {event.about}" if event.about else f"{event.worker} is here")

    def left(self, name: str, why: str) -> None:
        if self.hands.names.pop(name, None) is not None:
            self.tell(f"{name} left: {why}")
        self.tally.workers = len(self.hands.names)

    def need_somebody(self) -> None:
        """Raises E0521 where there has been no worker for too long."""
        if self.hands.names:
            self._alone_since = None
            return
        now, patience = self.crew.now(), self.hands.patience
        if self._alone_since is None:
            self._alone_since, self._said = now, False
        waited, most = now - self._alone_since, patience.empty if self._met else patience.start
        if waited > most:
            raise nobody_left(waited, self._met)
        if waited > patience.quiet and not self._said:
            self._said = True
            self.tell(f"no worker is there; waiting for one, {most:.0f} s at most")


class Round:
    """Works until all their tasks are done and all samples agree."""

    def __init__(self, scheduler: Scheduler, works: Sequence[Work]) -> None:
        self.scheduler, self.crew, self.hands = scheduler, scheduler.crew, scheduler.hands
        self.works = works
        keys = [(w, t) for w, work in enumerate(works) for t in range(len(work.prepared.graph.tasks))]
        self.waiting: dict[Key, None] = dict.fromkeys(keys)
        self.parts: dict[tuple[int, Part], Parcel] = {}
        self.raised: dict[Key, tuple[str, ...]] = {}
        self.attempts: dict[int, Attempt] = {}
        self.refused: dict[Key, dict[str, str]] = {}
        self.cases: dict[Key, Case] = {}
        self.makers: dict[Key, str] = {}
        self.losses: dict[tuple[Key, str], int] = {}
        self.deaths: dict[Key, int] = {}

    def run(self) -> list[Worked]:
        while self.waiting or self.at_work() or self.cases:
            self.assign()
            for event in self.crew.poll(TICK):
                self.hear(event)
            self.overdue()
            self.scheduler.need_somebody()
        return [self.worked(number) for number in range(len(self.works))]

    def at_work(self) -> bool:
        return any(not attempt.check for attempt in self.attempts.values())

    def worked(self, number: int) -> Worked:
        work = self.works[number]
        results = {value: self.part(number, (value, None)) for value in work.prepared.results}
        raised = [flag for (w, _), flags in sorted(self.raised.items()) if w == number for flag in flags]
        return Worked(results, tuple(raised))

    def part(self, number: int, part: Part) -> Parcel:
        """A part that is there. Raises KeyError for one that is still to be made."""
        work = self.works[number]
        return self.parts[number, part] if part in work.prepared.makers else work.given(part)

    # ---- who does what

    def assign(self) -> None:
        """Give idle workers what is ready, in the tasks' order, then what is to be computed again."""
        for key in list(self.waiting):
            if not self.hands.idle():
                return
            if self.is_ready(key):
                self.begin(key)
        for case in list(self.cases.values()):
            self.begin_check(case)

    def is_ready(self, key: Key) -> bool:
        number, task = key
        made = self.works[number].prepared.makers
        return all((number, part) in self.parts for part in self.works[number].prepared.needs[task] if part in made)

    def begin(self, key: Key) -> None:
        order = self.order(key)
        barred = self.refused.get(key, {})
        if self.hands.names and not set(self.hands.names) - set(barred):
            raise nobody_can(self.task_name(key), next(iter(barred.values())))
        hand = self.hands.best(order, self.task(key).place, barred)
        if hand is not None:
            del self.waiting[key]
            self.send(hand, Attempt(key, order, check=False))

    def begin_check(self, case: Case) -> None:
        """A second, or third, computation of a sample; on the head where no worker is left that may."""
        under_way = any(attempt.check and attempt.key == case.key for attempt in self.attempts.values())
        if under_way or not self.is_ready(case.key):
            return
        order = self.order(case.key)
        barred = {*case.sayings, *case.refused}
        if not set(self.hands.names) - barred:
            case.sayings[HEAD] = self.scheduler.referee(order)
            self.judge(case)
        elif (hand := self.hands.best(order, None, barred)) is not None:
            self.send(hand, Attempt(case.key, order, check=True))

    def send(self, hand: Hand, attempt: Attempt) -> None:
        number = attempt.order.attempt
        self.attempts[number] = attempt
        hand.start(number, self.crew.now(), self.hands.limit(hand, attempt.order))
        hand.holds |= {parcel.digest for _, parcel in attempt.order.takes}
        self.crew.send(hand.name, attempt.order)

    def order(self, key: Key) -> Order:
        number, task = key
        work = self.works[number]
        takes = tuple((t.input, self.part(number, (t.value, t.cut))) for t in self.task(key).takes)
        text = self.scheduler.text(work, task)
        return Order(self.scheduler.attempt(), text, work.step, takes, work.prepared.gives[task])

    def task(self, key: Key) -> Task:
        return self.works[key[0]].prepared.graph.tasks[key[1]]

    def task_name(self, key: Key) -> str:
        return f"{self.task(key).name} of step {self.works[key[0]].step}"

    # ---- what is heard

    def hear(self, event: Event) -> None:
        match event:
            case Joined():
                self.scheduler.joined(event)
            case Left():
                self.left(event)
            case _:
                self.answered(event)

    def left(self, event: Left) -> None:
        hand = self.hands.names.get(event.worker)
        if hand is not None and hand.attempt in self.attempts:
            self.died_at(self.attempts[hand.attempt].key)
            self.note(hand, self.attempts[hand.attempt], "redone")
            self.give_up(hand.attempt)
        self.scheduler.left(event.worker, event.why)

    def died_at(self, key: Key) -> None:
        self.deaths[key] = self.deaths.get(key, 0) + 1
        if self.deaths[key] >= DEATHS:
            raise nobody_can(self.task_name(key), f"{DEATHS} workers died at it")

    def answered(self, event: Done | Lost | Refused) -> None:
        """An answer; one to an attempt that was given up only says that the worker is free again."""
        hand = self.hands.names.get(event.worker)
        if hand is None or hand.attempt != event.attempt:
            return
        hand.attempt = None
        attempt = self.attempts.pop(event.attempt, None)
        if attempt is None:
            return
        match event:
            case Done():
                self.done(hand, attempt, event)
            case Lost():
                self.lost(attempt, event)
            case Refused():
                self.was_refused(attempt, event)

    def done(self, hand: Hand, attempt: Attempt, answer: Done) -> None:
        self.hands.took(hand, attempt.order, self.crew.now() - hand.begun)
        hand.holds |= {parcel.digest for parcel in answer.parcels}
        self.scheduler.tally.moved += answer.moved
        self.note(hand, attempt, "checked" if attempt.check else "done")
        if attempt.check:
            case = self.cases[attempt.key]
            case.sayings[hand.name] = said(answer)
            self.judge(case)
        else:
            self.taken(hand, attempt.key, answer)

    def note(self, hand: Hand, attempt: Attempt, kind: str) -> None:
        span = Span(hand.name, self.task_name(attempt.key), kind, hand.begun, self.crew.now())
        self.scheduler.timeline.spans.append(span)

    def taken(self, hand: Hand, key: Key, answer: Done) -> None:
        """An answer is used from now on; it may be drawn, and one that would stop the run always is."""
        number, task = key
        work = self.works[number]
        self.scheduler.tally.done += 1
        self.makers[key] = hand.name
        self.parts |= {(number, p): x for p, x in zip(work.prepared.parts(task), answer.parcels, strict=True)}
        flags = work.meaning(self.task(key), answer.flags)
        if flags:
            self.raised[key] = flags
        if flags or self.is_drawn(work):
            self.cases[key] = Case(key, {hand.name: said(answer)})
        elif hand.since is None:
            hand.since = work.since

    def is_drawn(self, work: Work) -> bool:
        """Whether an answer is computed a second time: by chance, and always where all that follows rests on it."""
        rate = self.scheduler.recheck
        return rate > 0 and (work.since == FIRST or self.scheduler.chance.random() < rate)

    def judge(self, case: Case) -> None:
        """Close a case that is settled; without agreement among all who were asked the head decides."""
        wrong = case.judged()
        if wrong is None:
            return
        del self.cases[case.key]
        self.scheduler.tally.checked += 1
        if wrong:
            raise self.liar(wrong, case.key)

    def liar(self, wrong: list[str], key: Key) -> Liar:
        """End those who were wrong; the first of them, and since when its like were believed."""
        hands = [self.hands.names.get(name) for name in wrong]
        since = min((hand.since for hand in hands if hand is not None and hand.since is not None), default=None)
        for name in wrong:
            self.crew.dismiss(name, for_good=True)
            self.scheduler.left(name, f"it answered `{self.task_name(key)}` wrongly and is not asked again")
        return Liar(", ".join(wrong), since, self.task_name(key))

    def lost(self, attempt: Attempt, event: Lost) -> None:
        """Make the lost parts again. Raises Gone for one that is given."""
        number = attempt.key[0]
        self.again(attempt)
        self.scheduler.forget(event.digests)
        gone = [parcel for _, parcel in attempt.order.takes if parcel.digest in event.digests]
        given = [parcel for parcel in gone if not self.made_anew(number, parcel)]
        if given and attempt.key in self.waiting and self.takes_given(attempt, given):
            raise Gone(f"a value that {self.task_name(attempt.key)} takes")

    def made_anew(self, number: int, parcel: Parcel) -> bool:
        """Whether the value was one that a task made; that task waits again."""
        parts = [part for (work, part), held in self.parts.items() if work == number and held is parcel]
        for part in parts:
            del self.parts[number, part]
            maker = self.works[number].prepared.makers[part]
            self.waiting.setdefault((number, maker))
            self.lost_by(number, maker)
        return bool(parts)

    def lost_by(self, number: int, task: int) -> None:
        """A worker that has lost, or changed, a task's values several times is not asked for them again."""
        key, name = (number, task), self.makers.get((number, task), "")
        self.losses[key, name] = self.losses.get((key, name), 0) + 1
        if self.losses[key, name] >= LOSSES:
            self.refused.setdefault(key, {})[name] = "what it gives is lost or changed on the way"

    def takes_given(self, attempt: Attempt, parcels: Sequence[Parcel]) -> bool:
        made = self.works[attempt.key[0]].prepared.makers
        pairs = zip(self.task(attempt.key).takes, attempt.order.takes, strict=True)
        return any((take.value, take.cut) not in made and held in parcels for take, (_, held) in pairs)

    def was_refused(self, attempt: Attempt, event: Refused) -> None:
        if attempt.check:
            self.cases[attempt.key].refused.add(event.worker)
            return
        self.refused.setdefault(attempt.key, {})[event.worker] = event.reason
        self.scheduler.tell(f"{event.worker} cannot carry out `{self.task_name(attempt.key)}`: {event.reason}")
        self.again(attempt)

    # ---- what takes too long

    def overdue(self) -> None:
        """Give up attempts beyond their limit; a worker that is late by twice that is ended."""
        now = self.crew.now()
        for hand in [hand for hand in self.hands.names.values() if hand.attempt is not None and now > hand.due]:
            assert hand.attempt is not None
            if hand.attempt in self.attempts:
                self.note(hand, self.attempts[hand.attempt], "redone")
                self.give_up(hand.attempt)
                seconds = hand.grace(now)
                self.scheduler.tell(f"{hand.name} has not answered for {seconds:.0f} s: its task is done elsewhere")
            else:
                self.crew.dismiss(hand.name, for_good=False)
                self.scheduler.left(hand.name, "it does not answer")

    def give_up(self, number: int) -> None:
        """Whoever still answers to this attempt is not heard."""
        attempt = self.attempts.pop(number, None)
        if attempt is not None:
            self.scheduler.tally.redone += 1
            self.again(attempt)

    def again(self, attempt: Attempt) -> None:
        if not attempt.check:
            self.waiting.setdefault(attempt.key)
