"""Searches texts by a pattern without going back: each character is read once, and what was worked
out for one text serves the next.
"""

from typing import NamedTuple

from analytics.queries.language.patterns import Alt, Anchor, Cat, Node, Parser, Repeat, Set, is_word

MAX_PROGRAM = 500
MAX_TEXT = 1_000_000
MAX_NEW_STEPS = 1000
MAX_KEPT_STEPS = 5_000


class TooCostly(Exception):
    """This pattern asks too much of this text; the search was given up."""


class Fork(NamedTuple):
    """Go on at any of these places."""

    places: tuple[int, ...]


class Match(NamedTuple):
    """The pattern's end."""


Instruction = Set | Anchor | Fork | Match


class State:
    """Where the program may be before a character; `next` is filled in as texts ask for it, None
    standing for `found`.
    """

    __slots__ = ("before", "next", "places")

    def __init__(self, places: frozenset[int], before: str | None) -> None:
        self.places = places
        self.before = before
        self.next: dict[str, State | None] = {}


class Pattern:
    """A compiled pattern. Raises ValueError for one that PostgreSQL refuses, that we cannot read,
    or that grows too large.
    """

    def __init__(self, text: str) -> None:
        self._program: list[Instruction] = []
        self._compile(Parser(text).read())
        self._emit(Match())
        self._forget()

    def search(self, text: str) -> bool:
        """Whether the pattern matches anywhere in the text. Raises TooCostly beyond MAX_TEXT
        characters or MAX_NEW_STEPS unseen steps.
        """
        if len(text) > MAX_TEXT:
            raise TooCostly(f"a text of {len(text)} characters is too long for a pattern")
        if self._kept > MAX_KEPT_STEPS:
            self._forget()
        limit = self._kept + MAX_NEW_STEPS
        state: State | None = self._start
        for character in text:
            if state is None:
                return True
            if character in state.next:
                state = state.next[character]
            elif self._kept < limit:
                state = self._step(state, character)
            else:
                raise TooCostly("a pattern takes too many steps")
        return state is None or self._closure(state, None) is None

    def _forget(self) -> None:
        self._start = State(frozenset({0}), None)
        self._states: dict[tuple[frozenset[int], str], State] = {}
        self._kept = 0

    def _step(self, state: State, character: str) -> State | None:
        """The state after one character, kept for the next time."""
        self._kept += 1
        reached = self._closure(state, character)
        following = None
        if reached is not None:
            places = frozenset(
                {0, *(place + 1 for place, step in reached if step.holds(character))}
            )
            before = "w" if is_word(character) else "-"
            following = self._states.get((places, before)) or self._states.setdefault(
                (places, before), State(places, before)
            )
        state.next[character] = following
        return following

    def _closure(self, state: State, after: str | None) -> list[tuple[int, Set]] | None:
        """The characters' sets that may come next, with their places; None if the pattern ends
        here.
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
            following = (
                step.places
                if isinstance(step, Fork)
                else (place + 1,)
                if step.holds(state.before, after)
                else ()
            )
            waiting.extend(set(following) - seen)
            seen.update(following)
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
            if (
                not node.parts
            ):  # nothing, but not for nothing: MAX_PROGRAM must bound its repetitions too
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
