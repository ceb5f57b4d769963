"""The page for passwords as its reader gets it: plain HTML that needs no script, no font and no image."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from html import escape

from operations.page_links import Link
from operations.passwords import FEWEST_CHARACTERS, MOST_BYTES

PRESENT, NEW, AGAIN, PROOF = "present", "new", "again", "proof"
"""Names of the fields."""

_STYLE = """
:root { color-scheme: light dark; --back: #f3f4f6; --card: #fff; --ink: #16202c; --soft: #4b5866; --line: #7b8794;
  --go: #1f5fbf; --on-go: #fff; --bad: #a3141e; --bad-back: #fdecec; --good: #12683a; }
@media (prefers-color-scheme: dark) { :root { --back: #10151b; --card: #1a2129; --ink: #eef2f6; --soft: #b3bdc8;
  --line: #7d8996; --go: #8ab8ff; --on-go: #0b1a30; --bad: #ffb1b1; --bad-back: #43191c; --good: #7fd6a4; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: flex; align-items: center; justify-content: center;
  padding: 1rem; background: var(--back); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main { width: 100%; max-width: 26rem; padding: clamp(1.25rem, 6vw, 2.25rem); background: var(--card);
  border-radius: .75rem; box-shadow: 0 1px 3px rgb(0 0 0 / .18); overflow-wrap: anywhere; }
.brand { margin: 0 0 1.25rem; color: var(--soft); font-size: .875rem; font-weight: 600; }
h1 { margin: 0 0 .75rem; font-size: 1.5rem; line-height: 1.25; }
p { margin: 0 0 1rem; }
main > :last-child, form > :last-child { margin-bottom: 0; }
.good { color: var(--good); }
.error { margin: 0 0 1rem; padding: .75rem; border-left: .25rem solid var(--bad); border-radius: .25rem;
  background: var(--bad-back); color: var(--bad); }
label { display: block; margin: 1rem 0 .25rem; font-weight: 600; }
.hint { margin: 0 0 .375rem; color: var(--soft); font-size: .875rem; }
input { width: 100%; padding: .625rem .75rem; border: 1px solid var(--line); border-radius: .375rem;
  background: var(--card); color: inherit; font: inherit; }
input[aria-invalid] { border-color: var(--bad); }
button { width: 100%; margin-top: 1.5rem; padding: .75rem; border: 0; border-radius: .375rem; background: var(--go);
  color: var(--on-go); font: inherit; font-weight: 600; cursor: pointer; }
input:focus-visible, button:focus-visible { outline: 3px solid var(--go); outline-offset: 2px; }
code { padding: .1em .35em; border: 1px solid var(--line); border-radius: .25rem; font-size: .9em;
  white-space: nowrap; }
"""

STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
"""What the Content-Security-Policy lets through."""


@dataclass(frozen=True)
class Problem:
    """Why a form came back; `field` is where."""

    sentence: str
    field: str = ""


def form(link: Link, proof: str, problem: Problem | None = None) -> str:
    title = "Choose a password" if link.sets_password else "Enter your password"
    fields = [_FIELDS[name] for name in _asked(link)]
    begin = next((one.name for one in fields if problem and one.name == problem.field), fields[0].name)
    inputs = "".join(_input(one, problem, has_focus=one.name == begin) for one in fields)
    body = (
        f"<h1>{title}</h1>{_problem(problem)}<p>{_lead(link)}</p>"
        f'<form method="post"><input type="hidden" name="{PROOF}" value="{escape(proof)}">{_account(link)}{inputs}'
        f'<button type="submit">{"Set password and log in" if link.sets_password else "Log in"}</button></form>'
    )
    return _page(f"Error: {title}" if problem else title, body)


def said(title: str, *paragraphs: str, is_good: bool = False) -> str:
    """A page that only says something; `paragraphs` are HTML."""
    mark = ' class="good"' if is_good else ""
    return _page(title, f"<h1{mark}>{escape(title)}</h1>" + "".join(f"<p>{one}</p>" for one in paragraphs))


def strong(text: str) -> str:
    """Somebody's words in a paragraph."""
    return f"<strong>{escape(text)}</strong>"


@dataclass(frozen=True)
class _Field:
    name: str
    label: str
    autocomplete: str
    hint: str = ""


_FIELDS = {
    "log in": _Field(PRESENT, "Password", "current-password"),
    "present": _Field(PRESENT, "Password until now", "current-password"),
    "new": _Field(
        NEW,
        "New password",
        "new-password",
        f"At least {FEWEST_CHARACTERS} characters, at most {MOST_BYTES} bytes. Several unusual words are easy to keep.",
    ),
    "again": _Field(AGAIN, "New password, again", "new-password"),
}


def _asked(link: Link) -> list[str]:
    if not link.sets_password:
        return ["log in"]
    return [*(["present"] if link.asks_for_present_password else []), "new", "again"]


def _lead(link: Link) -> str:
    hello = f"Hello {escape(link.first_name)}. " if link.first_name else ""
    tenant = strong(link.tenant_name)
    if not link.sets_password:
        return f"{hello}It lets you work for {tenant} in Slack."
    ends = " and ends your earlier logins" if link.asks_for_present_password else ""
    return f"{hello}{tenant} asks for a password besides Slack's sign-in. Setting it logs you in{ends}."


def _problem(problem: Problem | None) -> str:
    return f'<p class="error" id="error" role="alert">{escape(problem.sentence)}</p>' if problem else ""


def _account(link: Link) -> str:
    """For managers of passwords, which keep one under a name; nobody sees it and nothing reads it."""
    return (
        f'<input type="text" name="account" value="{escape(link.tenant_name)}" autocomplete="username" readonly hidden>'
    )


def _input(field: _Field, problem: Problem | None, *, has_focus: bool) -> str:
    is_wrong = problem is not None and problem.field == field.name
    about = [*([f"{field.name}-hint"] if field.hint else []), *(["error"] if is_wrong else [])]
    hint = f'<p class="hint" id="{field.name}-hint">{field.hint}</p>' if field.hint else ""
    more = (
        (f' aria-describedby="{" ".join(about)}"' if about else "")
        + (' aria-invalid="true"' if is_wrong else "")
        + (" autofocus" if has_focus else "")
    )
    return (
        f'<label for="{field.name}">{field.label}</label>{hint}<input type="password" id="{field.name}" '
        f'name="{field.name}" autocomplete="{field.autocomplete}" autocapitalize="none" spellcheck="false" '
        f"required{more}>"
    )


def _page(title: str, body: str) -> str:
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)} · Switchboard</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="robots" content="noindex"><style>{_STYLE}</style></head>'
        f'<body><main><p class="brand">Switchboard</p>{body}</main></body></html>'
    )
