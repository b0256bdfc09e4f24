"""Made-up conversations, varied in words, names, places and length, and the same at every run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

SEED = 4
FIRST_DAY = datetime(2023, 1, 2, 8, tzinfo=UTC)
SPAN = timedelta(days=730)
TURNS_PER_SESSION = 20
BETWEEN_TURNS = timedelta(seconds=40)
MIN_WORDS, MAX_WORDS = 8, 40

NAMES = """
    Ana Ben Chloé Dmitri Elif Farah Greta Hiro Imani Jonas Keiko Luca Mina Nils Olga Pedro Quinn
    Rosa Samir Tara Ulrich Vera Wendell Ximena Yusuf Zoe Anton Brigitte Carlos Deepa Esteban Fiona
    Gustav Hana Ivo Jamila Kofi Lena Mateo Noor
""".split()
SURNAMES = """
    Abara Berg Castillo Dietrich Eriksen Fontaine Garcia Hoffmann Ito Jansen Kowalski Lindqvist
    Moreau Nakamura Okafor Petrov Quispe Rossi Schneider Tanaka Ueda Varga Weber Yilmaz Zhang
""".split()
PLACES = """
    Lisbon Tallinn Kyoto Oaxaca Marseille Gdańsk Reykjavík Accra Bologna Cork Dresden Edinburgh
    Fukuoka Granada Helsinki Izmir Jaipur Kraków Ljubljana Montréal Nairobi Oslo Porto Quito Riga
    Seville Toronto Utrecht Valencia Wellington Zürich Antwerp Boston Cusco Denver Esbjerg Florence
    Geneva Hamburg Innsbruck
""".split()
THINGS = """
    kettle bicycle violin laptop passport thermostat tent sofa telescope keyboard backpack cactus
    microscope aquarium drone typewriter canoe lantern sewing-machine greenhouse projector
    skateboard piano camera printer barometer hammock blender easel accordion compass bookshelf
    freezer router trampoline notebook ladder quilt
""".split()
HOBBIES = """
    pottery climbing sourdough birdwatching fencing gardening calligraphy chess sailing photography
    knitting astronomy beekeeping karate choir salsa origami rowing watercolour improv cycling
    surfing woodwork archery genealogy juggling kayaking mountaineering painting swimming
""".split()
FOODS = """
    ramen paella pierogi falafel tiramisu risotto kimchi gazpacho lasagne borscht ceviche dumplings
    goulash hummus injera jambalaya laksa moussaka naan okonomiyaki pancakes quiche ratatouille
    shakshuka tamales
""".split()
FEELINGS = """
    relieved nervous proud exhausted curious delighted annoyed hopeful overwhelmed grateful puzzled
    restless confident lonely cheerful doubtful inspired stubborn calm homesick
""".split()
JOBS = """
    nurse plumber translator architect geologist librarian carpenter pharmacist lawyer pilot chemist
    florist journalist electrician baker dentist accountant veterinarian surveyor midwife economist
""".split()
MONTHS = "January February March April May June July August September October November December".split()
SYLLABLES = "ba ke lo mi nu ra se ti vo za dre fla gri plo sha tru wen yor qui xan".split()

CLAUSES = (
    "{name} moved to {place} in {month} to work as a {job}",
    "my {relative} {name} bought a second-hand {thing} for {number} euros",
    "we are planning a trip to {place} around the {day} of {month}",
    "I signed up for a {hobby} class with {name} every {weekday}",
    "the {thing} broke again and the repair shop in {place} wants {number} for it",
    "{name} {surname} from {project} asked me to review the draft before {weekday}",
    "I felt {feeling} after the meeting about {project}",
    "could you remind me to order the part {code} for the {thing}",
    "last {weekday} we cooked {food} for {number} people and it went surprisingly well",
    "{name} is allergic to {food} so we switched to {other_food}",
    "the release of {project} slipped from the {day} of {month} because of {identifier}",
    "I would rather do {hobby} than {other_hobby} at the weekend",
    "her brother is a {job} in {place} and plays the {thing} badly",
    "the flight to {place} leaves at {number} past noon from gate {code}",
    "we talked about {hobby} and how {feeling} it made {name}",
    "the landlord promised to replace the {thing} before {month}",
)
RELATIVES = "sister uncle cousin neighbour colleague niece grandfather flatmate".split()
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
JOINTS = (", and ", ", but ", "; ", ", so ", " while ", ". ")

QUESTIONS = (
    "When did {name} move to {place}?",
    "What did {name} say about {hobby}?",
    "Which {thing} needed a repair?",
    "Who works as a {job} in {place}?",
    "What is happening with {project}?",
    "What food should we avoid for {name}?",
    "Where are we travelling in {month}?",
    "How did I feel after the meeting about {project}?",
    "Did {name} {surname} ask for a review on {weekday}?",
    "What part do I have to order for the {thing}?",
)


@dataclass(frozen=True, slots=True)
class Message:
    session_id: str
    role: str
    name: str | None
    text: str
    said_at: datetime


def messages(count: int) -> Iterator[Message]:
    """Sessions of a person and an assistant, spread evenly over two years."""
    words = random.Random(SEED)
    between_sessions = SPAN / max(1, count // TURNS_PER_SESSION)
    for number in range(count):
        session, turn = divmod(number, TURNS_PER_SESSION)
        from_user = turn % 2 == 0
        yield Message(
            session_id=f"session-{session + 1}",
            role="user" if from_user else "assistant",
            name=NAMES[session % len(NAMES)] if from_user else None,
            text=_text(words),
            said_at=FIRST_DAY + session * between_sessions + turn * BETWEEN_TURNS,
        )


def statements(count: int) -> list[str]:
    """Texts that are none of `messages`."""
    words = random.Random(SEED + 1)
    return [_text(words) for _ in range(count)]


def questions(count: int) -> list[str]:
    words = random.Random(SEED + 2)
    return [_filled(words.choice(QUESTIONS), words) for _ in range(count)]


def _text(words: random.Random) -> str:
    wanted = words.randint(MIN_WORDS, MAX_WORDS)
    text = _filled(words.choice(CLAUSES), words)
    while len(text.split()) < wanted:
        text += words.choice(JOINTS) + _filled(words.choice(CLAUSES), words)
    return text[0].upper() + " ".join(text.split()[:MAX_WORDS])[1:].rstrip(",;.") + "."


def _filled(template: str, words: random.Random) -> str:
    food, other_food = words.sample(FOODS, 2)
    hobby, other_hobby = words.sample(HOBBIES, 2)
    return template.format(
        name=words.choice(NAMES),
        surname=words.choice(SURNAMES),
        place=words.choice(PLACES),
        thing=words.choice(THINGS),
        hobby=hobby,
        other_hobby=other_hobby,
        food=food,
        other_food=other_food,
        feeling=words.choice(FEELINGS),
        job=words.choice(JOBS),
        relative=words.choice(RELATIVES),
        month=words.choice(MONTHS),
        weekday=words.choice(WEEKDAYS),
        day=f"{words.randint(1, 28)}th",
        number=words.randint(2, 900),
        # Real text never runs out of new words; neither does this.
        project=_invented(words).capitalize(),
        code=f"{_invented(words)[:2].upper()}-{words.randint(100, 9999)}",
        identifier=f"{_invented(words)}_{words.choice(THINGS).replace('-', '_')}",
    )


def _invented(words: random.Random) -> str:
    # The square makes some of them common and most of them rare, as words are.
    number = int(len(SYLLABLES) ** 3 * words.random() ** 2)
    syllables = len(SYLLABLES)
    return (
        SYLLABLES[number % syllables]
        + SYLLABLES[number // syllables % syllables]
        + SYLLABLES[number // syllables**2]
    )
