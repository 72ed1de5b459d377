"""The ``mailserver`` command: its words are known here, and imported only when one is used."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from mailserver.errors import BadAddress, MailserverError

# word: (where it is, what it does)
WORDS: Mapping[str, tuple[str, str]] = {
    "init": ("init", "Write a configuration and a database."),
    "run": ("run", "Run the server in the foreground."),
    "dev": ("dev", "A whole server for a developer; nothing leaves the machine."),
    "who": ("who", "Who is connected."),
    "kick": ("kick", "End connections."),
    "reload": ("reload", "Let the server read its configuration again."),
    "stop": ("stop", "End the server."),
    "check": ("check", "Everything that is wrong with the configuration, at once."),
    "domain": ("domain", "The domains whose mail ends here."),
    "user": ("user", "The accounts."),
    "mailbox": ("mailbox", "The mailboxes of accounts and domains."),
    "import": ("importing", "Mail of a Maildir, an mbox file, or another server."),
    "export": ("exporting", "An account in one file."),
    "alias": ("alias", "Addresses that stand for others."),
    "annotation": ("annotation", "What is said of the server, or of a mailbox, for IMAP clients."),
    "suppression": ("suppression", "Who is not written to any more."),
    "feedback": ("feedback", "What others said of our mail."),
    "search": ("search", "The index of what messages say."),
    "queue": ("queue", "Mail that waits for its next attempt."),
    "tls": ("tls", "Which TLS other servers must have, and why."),
    "trace": ("trace", "The story of a message."),
    "explain": ("explain", "What would happen to mail for an address, and by whose rule."),
    "send": ("send", "Send a message through this server."),
    "sendmail": ("sendmail", "The classic interface, for programs on this machine."),
    "plugins": ("plugins", "What is loaded, from where, in which order, with what errors."),
    "plugin": ("plugin", "Begin a plugin of your own."),
}

CONFIG = "mailserver.config"        # in click's meta: what --config named


class Words(click.Group):
    """A group that imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(WORDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in WORDS:
            return None
        module = import_module(f"mailserver.cli.{WORDS[cmd_name][0]}")
        found: click.Command = module.command
        take_config(found)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        if word not in WORDS and not word.startswith("-"):
            import difflib

            near = difflib.get_close_matches(word, WORDS, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"there is no command {word!r}{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(word, about) for word, (_, about) in WORDS.items()])


def take_config(command: click.Command) -> None:
    """Let a command, and all below it, take ``--config`` behind its other words too."""
    if not any("--config" in each.opts for each in command.params):
        command.params.append(
            click.Option(
                ["--config"],
                metavar="FILE",
                expose_value=False,
                callback=_remember,
                help="The configuration; else $MAILSERVER_CONFIG, ./mailserver.toml, /etc/mailserver/mailserver.toml.",
            )
        )
    if isinstance(command, click.Group) and not isinstance(command, Words):
        for each in command.commands.values():
            take_config(each)


def _remember(context: click.Context, option: click.Parameter, value: str | None) -> None:
    if value:
        context.meta[CONFIG] = value


command = Words("mailserver", help="A mail server whose every decision can be a plugin.")
command.params.append(
    click.Option(
        ["--version"], is_flag=True, is_eager=True, expose_value=False, help="Show the version and exit.",
        callback=lambda context, option, wanted: _version(context, wanted),
    )
)
take_config(command)


def _version(context: click.Context, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from importlib.metadata import PackageNotFoundError, version

        try:
            click.echo(f"mailserver {version('mailserver')}")
        except PackageNotFoundError:
            click.echo("mailserver (not installed)")
        context.exit()


def run(words: Sequence[str]) -> int:
    """Do what these words say; returns the exit code: 0 done, 1 it could not be done, 2 usage."""
    try:
        result: Any = command.main(list(words), prog_name="mailserver", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return _complain("stopped")
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except BadAddress as error:
        return _complain(f"this is no address: {error}")
    except MailserverError as error:
        return _complain(str(error), bare=hasattr(error, "mistakes"))
    except OSError as error:
        return _complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except Exception as error:
        if not type(error).__module__.startswith("sqlalchemy."):
            raise
        return _complain(f"the database does not answer: {getattr(error, 'orig', None) or error}")


def _complain(sentence: str, bare: bool = False) -> int:
    """Mistakes of a configuration begin with their place, all else with our name."""
    click.echo(sentence if bare else f"mailserver: {sentence}", err=True)
    return 1


def main() -> NoReturn:
    """The console script; called ``sendmail``, it is the classic interface."""
    if os.path.basename(sys.argv[0]) in ("sendmail", "mailserver-sendmail"):
        sendmail()
    sys.exit(run(sys.argv[1:]))


def sendmail() -> NoReturn:
    """The console script ``sendmail``."""
    sys.exit(run(["sendmail", *sys.argv[1:]]))
