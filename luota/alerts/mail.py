"""A notice as an email: the same bytes at every attempt, so that a repeat can be told by its Message-ID.

The theory of the headers. Everything in them but the subject is made of validated addresses, ids and constants.
The subject is other people's text. It goes through the older half of the standard library's `email`, for which
a header's value is opaque: until Python 3.11.10 the newer half, EmailMessage, decodes encoded words while it
folds, and so a subject such as `=?utf-8?q?x=0ABcc:_eve=40example.org?=` grew a header. What is not plain ASCII,
or could be read as an encoded word, is encoded whole: it is shown as it was written.
"""

from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from email.charset import QP, Charset
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from email.policy import compat32
from email.utils import formatdate
from uuid import UUID, uuid5

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from luota.alerts.notice import Notice
from luota.alerts.words import LINK, facts, text, title
from luota.core.text import head, visible

SUBJECT_CHARACTERS = 250
WORD_BYTES = 45
"""What an encoded word holds; as base64 and with its frame it stays within 75 characters (RFC 2047 section 2)."""
FIRST_WORD_BYTES = 42
FIRST_WORD = 69
"""What fits beside `Subject: ` in a line of 78. A longer word would leave a first line that is empty (RFC 5322 section
3.2.2), and a subject that is read with a space before it."""
MOST_ANSWERED = 50
"""How many messages one answers: with the longest of domains they fill half of the header that sendmail takes."""

_TEMPLATES = Environment(
    loader=PackageLoader("luota.alerts"),
    autoescape=select_autoescape(("html",)),
    trim_blocks=True,
    keep_trailing_newline=True,
    undefined=StrictUndefined,
)
_UTF8 = Charset("utf-8")
_UTF8.body_encoding = QP
_WIRE = compat32.clone(linesep="\r\n")


def compose(notice: Notice, sender: str, recipients: Sequence[str]) -> bytes:
    """Return the message as it goes over the wire: a text and an HTML part, only ASCII, lines of CRLF.

    `sender` and `recipients` are what `luota.core.spec.addresses` accepts. The message of an incident's opening
    is the root of a thread, or the digest that told of it in its place; all others about that incident, to that
    channel, answer it (RFC 5322 section 3.6.4), whether it has been sent or not. A digest answers those of all its
    incidents that have been told before, above all the one that told of most. `Date` is when the notice was queued.
    """
    domain = sender.rpartition("@")[2]
    message = MIMEMultipart("alternative", boundary=f"=_{notice.delivery_id}")  # not to be had in quoted-printable
    message["From"] = f"Luota <{sender}>"
    message["To"] = ", ".join(recipients)
    message["Subject"] = _opaque(head(visible(title(notice)), SUBJECT_CHARACTERS))
    message["Date"] = formatdate(notice.queued_at / 1000)
    if notice.incident is not None and notice.type == "incident.opened":
        message["Message-ID"] = _first(notice, domain, notice.incident.id, None)
    else:
        message["Message-ID"] = f"<{notice.delivery_id}@{domain}>"
        if answered := _answered(notice, domain):
            message["In-Reply-To"] = answered[0]
            # A mail program shows a message below the last one. To name several puts the threads of several incidents
            # together; to name one would leave the others without their end.
            message["References"] = "\n ".join(reversed(answered))
    # RFC 3834 section 5; Exchange; RFC 2919, which sieve's vacation (RFC 5230 section 4.6) keeps quiet at too.
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message["List-Id"] = f"Luota <luota.{domain}>"
    message["X-Luota-Delivery"] = notice.delivery_id

    said = {
        "title": title(notice),
        "facts": facts(notice),
        "link": LINK,
        "text": text(notice),
        "channel": visible(notice.channel),
    }
    for kind, template in (("plain", "notice.txt"), ("html", "notice.html")):
        part = MIMENonMultipart("text", kind)
        part.set_payload(_TEMPLATES.get_template(template).render(said), _UTF8)
        message.attach(part)
    return message.as_bytes(policy=_WIRE)


def _answered(notice: Notice, domain: str) -> list[str]:
    """Return the Message-IDs that a notice answers, those that told of most of its incidents first."""
    told = [(one.incident_id, one.told_by) for one in notice.digest if not one.first_notice]
    if notice.incident is not None:
        told = [(notice.incident.id, notice.told_by)]
    found = Counter(_first(notice, domain, *one) for one in told)
    return [message_id for message_id, _ in found.most_common(MOST_ANSWERED)]


def _first(notice: Notice, domain: str, incident_id: str, told_by: str | None) -> str:
    """Return the Message-ID of what told the channel of an incident first: the digest `told_by`, or its opening."""
    return f"<{told_by or uuid5(UUID(incident_id), notice.channel)}@{domain}>"


def _opaque(line: str) -> str:
    """Return a header's value that a reader decodes to exactly `line`, which holds nothing active (RFC 2047)."""
    # Spaces at the ends and several in a row do not survive everywhere.
    plain = line.isascii() and line.isprintable() and "=?" not in line and line == " ".join(line.split())
    if plain and len(line.partition(" ")[0]) <= FIRST_WORD:
        return line
    words = [""]
    for character in line:
        if len((words[-1] + character).encode()) > (WORD_BYTES if words[1:] else FIRST_WORD_BYTES):
            words.append("")
        words[-1] += character
    return "\n ".join(f"=?utf-8?b?{b64encode(word.encode()).decode()}?=" for word in words)
