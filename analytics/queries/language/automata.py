"""Runs patterns in linear time, as an automaton whose states are computed on demand and cached.

Each character of a text is read once. A step computed for one text serves all later ones.
"""

from typing import NamedTuple

from analytics.queries.language.patterns import Alt, Anchor, Cat, Node, Parser, Repeat, Set, is_word

MAX_PROGRAM = 500
"""Instructions of a pattern."""

MAX_TEXT = 1_000_000
"""Characters of a text."""

MAX_NEW_STEPS = 1000
"""Steps that one text may add to the cache."""

MAX_CACHED_STEPS = 5_000
"""With more, a pattern drops its cache before the next text."""


class TooCostly(Exception):
    """The search was given up: this pattern takes too much work on this text."""


class Fork(NamedTuple):
    """Continue at any of these places of the program."""

    places: tuple[int, ...]


class Match(NamedTuple):
    """The end of the pattern: the text matches."""


Instruction = Set | Anchor | Fork | Match


class State:
    """All places where the program may be between two characters.

    `next` caches the state after each character seen so far; None means that the text matches.
    `before` is a character of the same kind as the one before this state: `w` if a word may hold
    it, else `-`; None at the start of the text.
    """

    __slots__ = ("before", "next", "places")

    def __init__(self, places: frozenset[int], before: str | None) -> None:
        self.places = places
        self.before = before
        self.next: dict[str, State | None] = {}


class Pattern:
    """A compiled pattern.

    Raises ValueError for one that PostgreSQL refuses, that `patterns.py` cannot read, or that needs
    more than MAX_PROGRAM instructions.
    """

    def __init__(self, text: str) -> None:
        self._program: list[Instruction] = []
        self._compile(Parser(text).read())
        self._emit(Match())
        self._forget()

    def search(self, text: str) -> bool:
        """Whether the pattern matches anywhere in the text.

        Raises TooCostly beyond MAX_TEXT characters or MAX_NEW_STEPS steps not seen before.
        """
        if len(text) > MAX_TEXT:
            raise TooCostly(f"a text of {len(text)} characters is too long for a pattern")
        if self._cached > MAX_CACHED_STEPS:
            self._forget()
        limit = self._cached + MAX_NEW_STEPS
        state: State | None = self._start
        for character in text:
            if state is None:
                return True
            if character in state.next:
                state = state.next[character]
            elif self._cached < limit:
                state = self._step(state, character)
            else:
                raise TooCostly("a pattern takes too many steps")
        return state is None or self._closure(state, None) is None

    def _forget(self) -> None:
        self._start = State(frozenset({0}), None)
        self._states: dict[tuple[frozenset[int], str], State] = {}
        self._cached = 0

    def _step(self, state: State, character: str) -> State | None:
        """The state after one character, which is cached; None: the text matches before it."""
        self._cached += 1
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
