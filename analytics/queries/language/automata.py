"""Runs patterns in linear time, as an automaton whose states are computed on demand and cached.

Each character of a text is read once. A step computed for one text serves all later ones.
"""

import sys
from typing import NamedTuple
from weakref import WeakSet

from analytics.queries.language.patterns import Alt, Anchor, Cat, Node, Parser, Repeat, Set, is_word
from analytics.queries.language.work import Work

MAX_PROGRAM = 500
"""Instructions of a pattern."""

MAX_CACHED_BYTES = 32 << 20
"""What all patterns of the process cache; with more, all of them forget their steps."""

STEPS_A_PLACE = 4
"""The work of a new step, for each place of the program that it visits."""

_INSTRUCTION_BYTES = 100
_STEP_BYTES, _STATE_BYTES, _PLACE_BYTES = 100, 500, 32
"""About what a cached step and a state take; the latter without and for each of its places."""


class Fork(NamedTuple):
    """Continue at any of these places of the program."""

    places: tuple[int, ...]


class Match(NamedTuple):
    """The end of the pattern: the text matches."""


Instruction = Set | Anchor | Fork | Match


class Caches:
    """The bytes that the patterns of this process cache together."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self._patterns: WeakSet[Pattern] = WeakSet()

    def add(self, pattern: "Pattern", size_bytes: int) -> None:
        """Count what a pattern is about to cache; beyond MAX_CACHED_BYTES all forget first."""
        if self.size_bytes + size_bytes > MAX_CACHED_BYTES:
            self.clear()
        self._patterns.add(pattern)
        self.size_bytes += size_bytes

    def clear(self) -> None:
        """Make all patterns forget."""
        for pattern in self._patterns:
            pattern.forget()
        self._patterns.clear()
        self.size_bytes = 0


caches = Caches()


class State(dict[str, "State"]):
    """All places where the program may be between two characters.

    As a mapping it caches the state after each character seen so far. `before` is a character of
    the same kind as the one before this state: `w` if a word may hold it, else `-`; None at the
    start of the text.
    """

    __slots__ = ("before", "places")

    def __init__(self, places: frozenset[int], before: str | None) -> None:
        super().__init__()
        self.places = places
        self.before = before


MATCHED = State(frozenset(), None)
"""The text matches, whatever follows; this state never knows a next one."""


class Pattern:
    """A compiled pattern.

    Raises ValueError for one that PostgreSQL refuses, that `patterns.py` cannot read, or that needs
    more than MAX_PROGRAM instructions.
    """

    def __init__(self, text: str) -> None:
        self._start = State(frozenset({0}), None)
        self._states: dict[tuple[frozenset[int], str], State] = {}
        self._program: list[Instruction] = []
        self._compile(Parser(text).read())
        self._emit(Match())

    def __del__(self) -> None:
        self.forget()

    @property
    def size_bytes(self) -> int:
        """About what the pattern takes without its cached steps."""
        return _INSTRUCTION_BYTES * len(self._program)

    def __call__(self, text: str, work: Work) -> bool:
        """Whether the pattern matches anywhere in the text.

        Raises TooCostly when `work` does not allow for a step a character, and for new steps.
        """
        work.spend(len(text))
        state, characters = self._start, iter(text)
        while True:
            try:
                for character in characters:
                    state = state[character]
                return state is MATCHED or self._closure(state, None, work) is None
            except KeyError:
                if state is MATCHED:
                    return True
                state = self._step(state, character, work)

    def forget(self) -> None:
        """Drop all cached steps. States refer to each other: without `clear` they would stay."""
        for state in (self._start, *self._states.values()):
            state.clear()
        self._states.clear()

    def _step(self, state: State, character: str, work: Work) -> State:
        """The state after one character, which is cached; MATCHED: the text matches before it."""
        caches.add(self, _STEP_BYTES)
        reached = self._closure(state, character, work)
        following: State = MATCHED
        if reached is not None:
            places = {0, *(place + 1 for place, step in reached if step.holds(character))}
            following = self._state(frozenset(places), "w" if is_word(character) else "-")
        state[character] = following
        return following

    def _state(self, places: frozenset[int], before: str) -> State:
        """The one state of these places."""
        state = self._states.get((places, before))
        if state is None:
            size = sys.getsizeof(places) + _PLACE_BYTES * len(places)
            caches.add(self, _STATE_BYTES + size)
            state = self._states[places, before] = State(places, before)
        return state

    def _closure(self, state: State, after: str | None, work: Work) -> list[tuple[int, Set]] | None:
        """The sets of which one may match the next character, each with its place in the program.

        None if the pattern ends here. `after` is the next character, None at the end of the text.
        """
        seen = set(state.places)
        waiting = list(seen)
        reached = []
        while waiting:
            place = waiting.pop()
            step = self._program[place]
            if isinstance(step, Match):
                return None
            if isinstance(step, Set):
                reached.append((place, step))
                continue
            if isinstance(step, Fork):
                following = step.places
            else:
                following = (place + 1,) if step.holds(state.before, after) else ()
            waiting.extend(set(following) - seen)
            seen.update(following)
        work.spend(STEPS_A_PLACE * len(seen))
        return reached

    def _emit(self, instruction: Instruction) -> int:
        if len(self._program) >= MAX_PROGRAM:
            raise ValueError("the pattern repeats too much")
        self._program.append(instruction)
        return len(self._program) - 1

    def _compile(self, node: Node) -> None:
        if isinstance(node, Set | Anchor):
            self._emit(node)
        elif isinstance(node, Cat):
            for part in node.parts:
                self._compile(part)
            if not node.parts:  # still one instruction, so that MAX_PROGRAM bounds its repetitions
                self._emit(Fork((len(self._program) + 1,)))
        elif isinstance(node, Alt):
            self._branches(node)
        else:
            self._repeat(node)

    def _branches(self, node: Alt) -> None:
        fork = self._emit(Fork(()))
        starts, ends = [], []
        for branch in node.branches:
            starts.append(len(self._program))
            self._compile(branch)
            ends.append(self._emit(Fork(())))
        self._program[fork] = Fork(tuple(starts))
        for end in ends:
            self._program[end] = Fork((len(self._program),))

    def _repeat(self, node: Repeat) -> None:
        for _ in range(node.least):
            self._compile(node.part)
        if node.most is None:
            fork = self._emit(Fork(()))
            self._compile(node.part)
            again = self._emit(Fork((fork,)))
            self._program[fork] = Fork((fork + 1, again + 1))
            return
        forks = []
        for _ in range(node.most - node.least):
            forks.append(self._emit(Fork(())))
            self._compile(node.part)
        for fork in forks:
            self._program[fork] = Fork((fork + 1, len(self._program)))
