"""What a POP3 server tells people: each phrase in each language, with the response code that programs read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phrase:
    """One thing that is told; ``{}`` stands for a number, an id or a name of ours, never for what a peer sent.

    `code` is a response code (RFC 2449 8, RFC 3206 4, RFC 6856 5) without its brackets.
    """

    en: str
    ja: str
    code: str = ""

    def text(self, language: str, *values: object) -> str:
        """The code and the words in a language of `mailserver.pop3.languages.LANGUAGES`."""
        words: str = (self.ja if language == "ja" else self.en).format(*values)
        return f"[{self.code}] {words}" if self.code else words


NOTHING = Phrase("", "")
GREETING = Phrase("{} POP3", "{} POP3 です")
BYE = Phrase("bye", "さようなら")

# -- commands

CONTROL_CHARACTER = Phrase("there is a control character in that line", "その行には制御文字があります")
UNKNOWN_COMMAND = Phrase("unknown command", "そのコマンドはありません")
LOG_IN_FIRST = Phrase("log in first", "先にログインしてください")
LOGGED_IN = Phrase("you are logged in already", "すでにログインしています")
NOT_UTF8 = Phrase("that is not UTF-8", "UTF-8 ではありません")
LINE_TOO_LONG = Phrase("that line is too long", "その行は長すぎます")
LINE_WITHOUT_END = Phrase("that line does not end", "その行には終わりがありません")
NAME_NEEDED = Phrase("USER needs a name", "USER には名前が必要です")
NO_ARGUMENT = Phrase("{} takes no argument", "{} に引数は要りません")
NUMBER_NEEDED = Phrase("a message number is needed", "メッセージの番号が必要です")
NUMBERS_NEEDED = Phrase("a message number and a count are needed", "メッセージの番号と行数が必要です")

# -- capabilities, TLS, language

TLS_ON = Phrase("TLS is on already", "すでに TLS を使っています")
NO_TLS = Phrase("TLS is not available", "TLS は使えません")
BEGIN_TLS = Phrase("begin TLS", "TLS を始めてください")
TLS_BEFORE_UTF8 = Phrase("STLS comes before UTF8", "STLS は UTF8 より先でなければなりません")
UTF8_ON = Phrase("UTF-8 from now on", "これからは UTF-8 です")
LANGUAGES_FOLLOW = Phrase("languages:", "使える言語:")
LANGUAGE_CHOSEN = Phrase("English from now on", "これからは日本語です")
NO_SUCH_LANGUAGE = Phrase("that language is not spoken here", "その言語は使えません")

# -- logins

CLEAR_TEXT = Phrase(
    "passwords are taken inside TLS only: STLS first", "パスワードは TLS の中でだけ受け付けます。先に STLS を", "AUTH"
)
NO_WAY_IN = Phrase(
    "passwords are taken inside TLS only, which there is none of here",
    "パスワードは TLS の中でだけ受け付けますが、ここでは TLS を使えません", "SYS/PERM",
)
AND_PASSWORD = Phrase("and the password", "パスワードをどうぞ")
USER_FIRST = Phrase("USER first", "先に USER を")
NO_SUCH_MECHANISM = Phrase("that mechanism is not known", "その認証方式はありません")
CANCELLED = Phrase("authentication cancelled", "認証を取り消しました")
MALFORMED = Phrase("malformed authentication", "認証の書き方が正しくありません")
NOT_BASE64 = Phrase("that is not base64", "base64 ではありません")
WRONG = Phrase("name or password is wrong", "名前かパスワードが違います", "AUTH")
TOO_SOON = Phrase(
    "log in once in {} seconds at the most", "ログインは {} 秒に一度までです", "LOGIN-DELAY"
)
IN_USE = Phrase("another session has this mailbox open", "ほかの接続がこのメールボックスを使っています", "IN-USE")
NO_MAILBOX = Phrase("there is no mailbox for you ({})", "あなたのメールボックスがありません ({})", "SYS/PERM")

# -- messages

MESSAGES = Phrase("{} messages", "メッセージは {} 通です")
MESSAGES_AND_OCTETS = Phrase("{} messages ({} octets)", "メッセージは {} 通です ({} オクテット)")
OCTETS = Phrase("{} octets", "{} オクテット")
NO_SUCH_MESSAGE = Phrase("there is no such message", "そのメッセージはありません")
GONE = Phrase("that message is gone", "そのメッセージはもうありません")
MARKED = Phrase("message {} will be deleted at QUIT", "メッセージ {} は QUIT のときに削除します")
NEEDS_UTF8 = Phrase(
    "that message has UTF-8 in its header: say UTF8 before you log in",
    "ヘッダに UTF-8 のあるメッセージです。ログインの前に UTF8 を", "UTF8",
)

# -- troubles

NOT_NOW = Phrase("not now, try again later ({})", "今はできません。あとでもう一度どうぞ ({})", "SYS/TEMP")
NOT_DELETED = Phrase("nothing was deleted ({})", "何も削除していません ({})", "SYS/TEMP")
INTERNAL = Phrase("internal error ({})", "内部エラーです ({})", "SYS/TEMP")
SILENT = Phrase("you have been silent for too long", "長い間何も届きませんでした")
STOPPING = Phrase("the server is shutting down", "サーバを止めます", "SYS/TEMP")
DISMISSED = Phrase("this connection is ended by the operator", "管理者がこの接続を終わらせます", "SYS/TEMP")
TOO_MANY = Phrase("too many connections from your address", "あなたのアドレスからの接続が多すぎます", "SYS/TEMP")
