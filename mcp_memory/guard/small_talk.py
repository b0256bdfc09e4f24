"""Whether a text is only a greeting, thanks, a farewell or an acknowledgement: talk that makes no facts."""

from __future__ import annotations

import calendar
import re
import unicodedata

LONGEST = 80
"""Characters: whoever greets at greater length says something, too."""


def is_small_talk(text: str) -> bool:
    """Whether phrases of courtesy, in whatever order, are all there is: "ok, I moved to Porto" says more.

    "Yes" and "no" are answers and no courtesies. A greeting may call somebody by name. A text without
    letters and digits, such as 👍, says nothing either.
    """
    if len(text) > LONGEST:
        return False
    words = _WORD.findall(unicodedata.normalize("NFKC", text).replace("’", "'"))
    if not words:
        return not any(unicodedata.category(one) in ("Sc", "Sm") for one in text)
    return _is_courtesy(tuple(words))


_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def _is_courtesy(words: tuple[str, ...]) -> bool:
    """Walks along the words, the longest phrase first; a name may stand after what calls somebody."""
    place = 0
    while place < len(words):
        length = _phrase_at(words, place)
        if not length:
            return False
        phrase = " ".join(words[place : place + length]).lower()
        place += length
        place += phrase in _CALLING and place < len(words) and _is_name(words, place)
    return True


def _phrase_at(words: tuple[str, ...], place: int) -> int:
    """How many words the longest phrase of courtesy has that begins there; 0 when none does."""
    for length in range(min(_MOST_WORDS, len(words) - place), 0, -1):
        if " ".join(words[place : place + length]).lower() in _PHRASES:
            return length
    return int(bool(_LAUGH.fullmatch(words[place].lower())))


def _is_name(words: tuple[str, ...], place: int) -> bool:
    word = words[place]
    return word.istitle() and word.isalpha() and word not in _DAYS and not _phrase_at(words, place)


_DAYS = frozenset((*calendar.day_name, *calendar.month_name))
"""Who says one of these agrees on a date."""
_LAUGH = re.compile(
    r"a?(?:ha){2,}h?|(?:he){2,}|(?:hi){2,}|(?:ja){2,}|l+o+l+|lmao|rofl|xd+|m?hm+|aw+|a+h+|o+h+|wo+w|ye+y|ya+y"
    r"|hey+|hi+"
)


def _phrases(text: str) -> frozenset[str]:
    return frozenset(phrase.strip() for phrase in text.replace("\n", "|").split("|") if phrase.strip())


_CALLING = _phrases(
    """
    hi | hello | hey | hey there | hi there | hello there | dear | howdy | good morning | good afternoon
    good evening
    good night | morning | bye | goodbye | bye bye | see you later | thanks | thank you | thank you so much
    thanks so much | thanks a lot | many thanks | cheers | welcome | congrats | congratulations | well done
    how are you
    take care | hallo | guten morgen | guten tag | guten abend | gute nacht | tschüss | danke | vielen dank
    danke schön | servus | moin | bonjour | bonsoir | salut | coucou | merci | merci beaucoup | au revoir
    hola
    buenos días | buenas tardes | buenas noches | gracias | muchas gracias | adiós | ciao | buongiorno
    buonasera
    buonanotte | grazie | grazie mille | arrivederci | olá | oi | bom dia | boa tarde | boa noite | obrigado
    obrigada
    tchau | hoi | goedemorgen | goedenavond | dank je | dank je wel | bedankt | hej | god morgon | tack
    tak | takk
    cześć | dzień dobry | dziękuję | dzięki
    """
)
"""After these somebody's name may stand."""
_PHRASES = _CALLING | _phrases(
    """
    again | so much | very much | a lot | everyone | everybody | all | guys | folks | friend | my friend
    buddy | mate | man | please | and | so | then | now | too | as well | there | for now
    how are you doing | how are you today | how's it going | how is it going | how have you been
    how are things | see you | ok | okay | what's up | whats up | sup | long time no see | nice to meet you
    nice to see you | good to see you | good to hear from you | great to hear from you
    it's good to see you | good day | greetings | ty | thx | tysm | thank u | thanks again | thank you again
    thank you very much | thank you for your help | thanks for your help | thanks for the help
    thanks for that | thanks for everything | much appreciated | i appreciate it | appreciate it
    appreciated | you're welcome | you are welcome | no problem | np | no worries | my pleasure | anytime
    don't mention it | not at all | glad to help | glad i could help | happy to help | glad to hear it
    glad to hear that | glad to hear | sorry | sorry about that | k | kk | okey | okie | okay then | alright
    all right | alright then | got it | gotcha | i see | understood | noted | roger | i understand
    makes sense | that makes sense | fair enough | sounds good | sounds great | sounds fun
    that sounds good | that sounds great | sounds like a plan | sounds good to me | works for me
    that works | will do | good | great | cool | nice | awesome | perfect | excellent | wonderful | amazing
    fantastic | brilliant | lovely | sweet | super | very good | very nice | so cool | so nice
    that's great | that's good | that's nice | that's cool | that's awesome | that's amazing
    that's wonderful | that is great | good to know | good idea | great idea | nice one | good one
    interesting | good luck | have fun | enjoy | have a good day | have a nice day | have a great day
    have a good one | have a good night | have a good evening | have a great weekend | have a nice weekend
    have a good weekend | you too | same to you | see you soon | see you then | see you around
    see you tomorrow | see ya | cya | later | talk later | talk soon | talk to you later | talk to you soon
    ttyl | catch you later | until next time | till next time | until then | farewell | bye for now | night
    sleep well | sweet dreams | best wishes | best regards | kind regards | regards | cheers mate | haha
    omg | wow | yay | woo | woohoo | hooray | hurray | phew | oops | whoops | aww | ah | oh | hm | hmm | mhm
    uh | um | well | go on | continue | please continue | go ahead | i'm good thanks | i'm fine thanks
    i'm good | i'm fine | fine | fine thanks
    und | schön | sehr | gut | alles klar | in ordnung | verstanden | super danke | prima | toll | klasse
    bitte | bitte schön | bitte sehr | gern geschehen | gerne | kein problem | wie geht's | wie geht es dir
    wie geht es ihnen | bis bald | bis später | bis dann | bis morgen | mach's gut | schönen tag
    schönen tag noch | schönes wochenende | auf wiedersehen | danke dir | danke sehr | danke euch
    besten dank | herzlichen dank | na gut | passt | hallo zusammen | guten tag zusammen
    et | d'accord | ça va | comment ça va | comment vas-tu | comment allez-vous | très bien | bien | parfait
    super merci | génial | de rien | je vous en prie | je t'en prie | avec plaisir | entendu | compris
    à bientôt | à plus tard | à plus | à demain | bonne nuit | bonne journée | bonne soirée | bon week-end
    merci bien | pas de problème | excellent | cool merci | ok merci
    y | vale | de acuerdo | bien gracias | muy bien | perfecto | genial | estupendo | entendido | de nada
    no hay problema | qué tal | cómo estás | cómo está | hasta luego | hasta mañana | hasta pronto
    nos vemos | buenas | buen día | mil gracias
    va bene | d'accordo | perfetto | bene | molto bene | benissimo | prego | di niente | capito | come stai
    come va | a presto | a domani | a dopo | buona giornata | buona serata | figurati | tutto bene
    fantastico
    tudo bem | tudo bom | perfeito | ótimo | de nada | entendi | combinado | até logo | até amanhã
    até breve | muito obrigado | muito obrigada | beleza | valeu | como vai
    prima | goed | oké | graag gedaan | geen probleem | tot ziens | tot straks | tot morgen | doei | dag
    hoe gaat het | begrepen | dank u | dank u wel | top | fijn | hej hej | hejdå | tack så mycket | bra
    mange tak | tusen takk | varsågod | super dzięki | dobrze | do widzenia | dobranoc | w porządku
    nie ma za co
    """
)
_MOST_WORDS = max(len(phrase.split()) for phrase in _PHRASES)
