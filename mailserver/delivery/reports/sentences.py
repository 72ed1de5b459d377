"""What reports say to people, by language: what became of the mail, why in plain words, and what can be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mailserver.delivery.reports.action import Action
from mailserver.feedback.kinds import Kind


@dataclass(frozen=True, slots=True)
class Sentences:
    """One language.  The strings are formats of ours: {hostname}, {id}, {until}, {following}, {count}, {host}."""

    subjects: Mapping[Action, str]
    server: str
    openings: Mapping[Action, str]
    forwarded: str              # {address}
    reasons: Mapping[Kind, tuple[str, str]]     # why, and what the sender can do
    ours: str                   # when nobody refused it but we
    said: str
    following: str
    closings: Mapping[Action, str]
    attached: str
    others: str
    look_up: str


ENGLISH = Sentences(
    subjects={
        Action.FAILED: "Your mail could not be delivered",
        Action.DELAYED: "Your mail is delayed; you need not send it again",
        Action.DELIVERED: "Your mail was delivered",
        Action.RELAYED: "Your mail was handed on",
        Action.EXPANDED: "Your mail went to the members of a list or an alias",
    },
    server="This is the mail server {hostname}.",
    openings={
        Action.FAILED: "Your mail could not be delivered to these addresses:",
        Action.DELAYED: "Your mail could not be delivered to these addresses yet:",
        Action.DELIVERED: "Your mail was delivered to these addresses:",
        Action.RELAYED: "Your mail was handed to the next server for these addresses. That server reports no "
                        "successful deliveries, so you will hear no more unless it fails:",
        Action.EXPANDED: "These addresses stand for several others, and your mail was sent on to all of them. You "
                         "will hear no more of their deliveries:",
    },
    forwarded="(which is forwarded to <{address}>)",
    reasons={
        Kind.GREYLIST: ("Their server does not know ours yet, and asks it to come back later.", "Send it again later."),
        Kind.RATE: ("Their server takes only so much mail in a while, and has had enough.",
                    "Send it again later, to fewer recipients at a time."),
        Kind.REPUTATION: ("Their server refuses mail from ours, because of a block list or of its reputation.",
                          "Whoever runs {hostname} needs to have it cleared; please tell them."),
        Kind.POLICY: ("Their server refuses this mail by a rule of its own.",
                      "Ask the recipient, by another way, to let mail from you in."),
        Kind.FULL: ("The recipient's mailbox is full.", "Tell the recipient by another way, and send it again later."),
        Kind.GONE: ("There is no such address.", "Look whether it is written correctly."),
        Kind.SIZE: ("The mail is too big for their server.",
                    "Send it with smaller attachments, or put these elsewhere."),
        Kind.AUTH: ("Their server doubts that the mail is from whom it says.",
                    "Whoever runs {hostname}, or your domain, needs to look at SPF, DKIM and DMARC; please tell them."),
        Kind.TLS: ("No secure connection was possible, and one is required.",
                   "Whoever runs {hostname}, or their server, needs to look at it; please tell them."),
        Kind.CONTENT: ("Their server takes the mail for spam, or for dangerous.",
                       "Send it without attachments and links, or ask the recipient to let it in."),
        Kind.BUSY: ("Their server is overloaded, or out of order for a while.", "Send it again later."),
        Kind.UNREACHABLE: ("Their server could not be reached.",
                           "Look whether the part of the address behind @ is right; else send it again later."),
        Kind.LOOP: ("The mail goes in a circle between servers.",
                    "Tell the recipient, or whoever runs {hostname}, that a forwarding is wrong."),
        Kind.UNKNOWN: ("It did not say why in words that we know.", "See what was said, below."),
    },
    ours="This server does not send it:",
    said="{host} said:",
    following="It is tried next at {following}, and until {until} at the latest.",
    closings={
        Action.FAILED: "It will not be tried again.",
        Action.DELAYED: "You need not do anything: it is tried again and again. You will hear if it fails for good.",
        Action.DELIVERED: "", Action.RELAYED: "", Action.EXPANDED: "",
    },
    attached="Your mail, or its beginning, is attached.",
    others="and {count} more.",
    look_up="Whoever runs {hostname} can look it up under the id {id}.",
)

JAPANESE = Sentences(
    subjects={
        Action.FAILED: "メールを配信できませんでした",
        Action.DELAYED: "メールの配信が遅れています(再送は不要です)",
        Action.DELIVERED: "メールは配信されました",
        Action.RELAYED: "メールを次のサーバーに渡しました",
        Action.EXPANDED: "メールは複数の宛先に転送されました",
    },
    server="こちらはメールサーバー {hostname} です。",
    openings={
        Action.FAILED: "次の宛先にメールを配信できませんでした。",
        Action.DELAYED: "次の宛先にまだメールを配信できていません。",
        Action.DELIVERED: "次の宛先にメールを配信しました。",
        Action.RELAYED: "次の宛先のメールを次のサーバーに渡しました。そのサーバーは配信完了を通知しないため、"
                        "配信に失敗した場合を除き、これ以上の通知はありません。",
        Action.EXPANDED: "次の宛先は複数のアドレスを表しており、そのすべてにメールを転送しました。"
                         "それぞれの配信についての通知はありません。",
    },
    forwarded="(転送先: <{address}>)",
    reasons={
        Kind.GREYLIST: ("相手のサーバーが、しばらく後に送り直すよう求めています。", "後で送り直してください。"),
        Kind.RATE: ("相手のサーバーが一定時間に受け取れる量を超えました。",
                    "時間をおいて、宛先の数を減らして送り直してください。"),
        Kind.REPUTATION: ("ブロックリストまたは評価により、相手がこのサーバーからのメールを拒否しています。",
                          "{hostname} の管理者にお知らせください。"),
        Kind.POLICY: ("相手のサーバーが独自の規則によりこのメールを拒否しました。",
                      "別の方法で受信者に連絡し、受信を許可するよう依頼してください。"),
        Kind.FULL: ("受信者のメールボックスがいっぱいです。",
                    "別の方法で受信者に知らせ、後で送り直してください。"),
        Kind.GONE: ("そのアドレスは存在しません。", "アドレスが正しいか確認してください。"),
        Kind.SIZE: ("メールが相手のサーバーの上限より大きいです。",
                    "添付ファイルを小さくするか、別の場所に置いて送り直してください。"),
        Kind.AUTH: ("送信者が本人であることを相手のサーバーが確認できませんでした。",
                    "{hostname} またはあなたのドメインの管理者に、SPF・DKIM・DMARC の確認を依頼してください。"),
        Kind.TLS: ("必要とされる安全な接続ができませんでした。",
                   "{hostname} または相手のサーバーの管理者にお知らせください。"),
        Kind.CONTENT: ("相手のサーバーがこのメールを迷惑メールまたは危険なメールと判断しました。",
                       "添付ファイルやリンクを除いて送り直すか、受信者に受信の許可を依頼してください。"),
        Kind.BUSY: ("相手のサーバーが混雑しているか、一時的に利用できません。", "後で送り直してください。"),
        Kind.UNREACHABLE: ("相手のサーバーに接続できませんでした。",
                           "アドレスの @ より後ろが正しいか確認し、正しければ後で送り直してください。"),
        Kind.LOOP: ("メールがサーバーの間で循環しています。",
                    "転送設定が誤っていることを、受信者または {hostname} の管理者にお知らせください。"),
        Kind.UNKNOWN: ("相手のサーバーの返答からは理由が分かりませんでした。", "以下の返答をご覧ください。"),
    },
    ours="このサーバーは次の理由により送信しません。",
    said="{host} の返答:",
    following="次の配信は {following} に試み、遅くとも {until} まで続けます。",
    closings={
        Action.FAILED: "このメールは再送されません。",
        Action.DELAYED: "操作は不要です。自動的に再送を続け、最終的に失敗した場合はお知らせします。",
        Action.DELIVERED: "", Action.RELAYED: "", Action.EXPANDED: "",
    },
    attached="元のメール、またはその先頭部分を添付します。",
    others="ほか {count} 件。",
    look_up="{hostname} の管理者は、ID {id} でこのメールを調べることができます。",
)

LANGUAGES: Mapping[str, Sentences] = {"en": ENGLISH, "ja": JAPANESE}
