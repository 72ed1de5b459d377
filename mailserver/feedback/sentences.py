"""The sentences by which servers tell what is the matter, as patterns for each `Kind`, in lower case."""

from __future__ import annotations

import re

from mailserver.feedback.kinds import Kind

# In this order: what is asked first is what others would be taken for.  Gaps are bounded, so that time is linear.
BY_WORDS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    (Kind.LOOP, re.compile(
        r"too many (?:hops|received)|hop count|(?:mail|routing|forwarding|delivery|message) loop|"
        r"loops? (?:back|detected)|in a circle|possible mail loop|already been delivered.{0,20}loop|"
        r"is this (?:machine|server), which| is this machine$"
    )),
    (Kind.POLICY, re.compile(
        r"^suppressed: |"
        r"relay(?:ing)? (?:access )?(?:denied|not (?:permitted|allowed)|prohibited)|(?:unable to|not) relay|"
        r"rcpthosts|\bptr\b|reverse (?:dns|lookup|name|hostname)|\brdns\b|cannot find your (?:reverse )?hostname|"
        r"(?:helo|ehlo) (?:command|name)? ?(?:rejected|not|invalid|denied)|anti-?spoof\w* policy|resolver\.rst|"
        r"(?:sender|return) (?:address|domain|path).{0,60}(?:not (?:found|exist)|unverif|invalid|unknown)|"
        r"sender verif\w* failed|\bsender rejected|backscatter|\bbatv\b|domain of (?:your|the sender)|"
        r"(?:invalid|unknown|bad|unresolvable|unverified|non[- ]?existent) (?:\w+ )?"
        r"(?:sender|return|helo|ehlo|client|reverse)|"
        r"\bsender\b.{0,40}(?:not exist|unknown|invalid|not be verified|not verif)"
    )),
    (Kind.GREYLIST, re.compile(
        r"gr[ae]y[- _]?list|greyd? ?listed|you are being gr[ae]y|postgrey|(?:first|initial) contact|"
        r"address verification in progress|"
        r"internal resources? (?:are |is )?temporarily unavailable.{0,60}mimecast|"
        r"ip (?:is )?temporarily deferred, please retry|retry (?:in|after) \d{1,5} ?(?:s|sec|min)|"
        r"try again in \d{1,5} ?(?:s|sec|min)|please retry in \d|not yet (?:known|authorized|seen)|"
        r"temporarily (?:rejected|deferred)[ ,;:.-]{1,3}(?:because )?(?:we (?:do not|don't) know|unknown triplet)"
    )),
    (Kind.TLS, re.compile(
        r"start ?tls|tls (?:is )?(?:required|needed|not available|negotiation|handshake)|(?:need|require)s? tls|"
        r"(?:must|should) (?:use|be sent over|be encrypted with) (?:a )?(?:secure|tls|ssl)|requiretls|"
        r"requires? (?:encryption|an encrypted|secure connection)|encryption (?:is )?(?:required|needed)|"
        r"certificate (?:verif|validation|is not|has expired|not trusted|does not)|\bdane\b|mta-sts|tlsa|no ssl|"
        r"ssl (?:handshake|error|certificate)"
    )),
    (Kind.CONTENT, re.compile(
        r"(?:uri|url|link|domain)s? (?:in (?:the |your )?(?:message|body|content)s?|found in).{0,60}(?:listed|"
        r"block)|"
        r"(?:contains?|has|with) (?:a |an )?(?:blocked |blacklisted |spammy |bad |suspicious )?(?:url|uri|link)s?|"
        r"\bsurbl\b|\buribl\b|virus|malware|trojan|phish|infected|eicar|banned (?:file|content|attachment)|"
        r"(?:attachment|file) (?:type|name|extension)?s? ?(?:is |are )?(?:not (?:allowed|accepted)|blocked|"
        r"prohibited)|blocked.{0,40}(?:its content|attachment)|nature of the content|"
        r"content (?:rejected|denied|not (?:allowed|acceptable)|presents a potential|filter)|"
        r"message (?:content )?(?:is|was|looks like|has been|identified|classified|considered|rejected|"
        r"seems).{0,40}\b(?:spam|unsolicited|junk|ube|uce)\b|"
        r"(?:likely|as|is|like|probable|possible|be|contains) (?:unsolicited|spam|junk|bulk mail|uce)\b|"
        r"spam (?:message|content|detected|score|filter|threshold|mail|suspected|rejected)|"
        r"(?:suspected|detected|identified|high probability of) (?:as )?spam|no spam please|spamassassin|"
        r"\(as\d{3,}\).{0,20}spam|rspamd|dspam|\bdcc\b|does not look like (?:a )?legitimate|"
        r"content\.? (?:of (?:this|your|the) )?(?:message )?(?:was |is )?(?:deemed|considered)"
    )),
    (Kind.AUTH, re.compile(
        r"\bspf\b|\bdkim\b(?! domain)|\bdmarc\b|\barc\b.{0,20}fail|unauthenticated|authentication (?:is )?requ|"
        r"(?:requires?|need|not|lacks?|must (?:be )?|unable to|fails?|failed|first|"
        r"before) (?:\w+ ){0,3}authenticat|"
        r"authentication (?:failed|failure|credentials|unsuccessful|information|checks|needed|error)|"
        r"(?:login|password|username|credentials) .{0,40}(?:not accepted|rejected|incorrect|invalid|failed|"
        r"denied)|log in with your web browser|the login was not accepted|sender policy framework|spoof|"
        r"sender id \(pra\)|not (?:owned by|authorized to send|permitted to send|allowed to send (?:mail )?from)"
    )),
    (Kind.RATE, re.compile(
        r"rate[- ]?limit|"
        r"(?:sending|message|mail|connection|recipient|delivery|hourly|daily|unusual|peak|at a|"
        r"high) (?:smtp relay )?(?:rate|volume)\b|throttl|"
        r"too (?:many|much) (?:\w+ ){0,2}(?:messages?\b(?! (?:in|on) (?:the |your )?(?:server|mailbox))|"
        r"mails?|emails?|connections?|sessions?|recipients?|rcpt|"
        r"requests?|traffic|concurrent|deliveries|transactions|smtp)|too (?:fast|quickly|often|frequent)|"
        r"slow(?:ing)? down|receiving mail (?:too|at a)|"
        r"(?:exceed(?:ed|s|ing)?|over|reached) (?:the |your |our |its |max\w* )*(?:\w+ ){0,3}(?:rate|"
        r"limits? of (?:messages|connections|recipients)|sending limit|message limit|connection limit|"
        r"connections?|daily|hourly|per (?:hour|minute|day))|"
        r"(?:connection|message|recipient|sending|session|concurrency) (?:count |number )?(?:limits?|"
        r"quota) ?(?:has been |was |is )?(?:exceeded|reached)|"
        r"maximum number of (?:messages|recipients|connections|concurrent)|"
        r"(?:messages|recipients|connections|mails) (?:allowed )?per (?:hour|minute|day|second|session|"
        r"connection)|recipient thread limit|unexpected volume|\[tss?0[1-4]\]|"
        r"concurren(?:t|cy).{0,30}(?:limit|exceed|many)|unusual (?:amount|traffic|volume)|"
        r"more than \d{1,6} (?:messages|recipients|connections)|submission quota|limits? (?:for|on) how many|"
        r"outbound.{0,20}quota|policy size per transaction|one (?:domain|recipient) at a time|"
        r"multiple destination domains"
    )),
    (Kind.REPUTATION, re.compile(
        r"black ?-?list|block ?-?list|\bdnsbls?\b|\b[a-z]?rbls?\b|spamhaus|spamcop|sorbs|barracudacentral|abuseat|"
        r"uceprotect|mailspike|invaluement|senderscore|abusix|backscatterer|cloudmark|njabl|psbl|s5h\.net|"
        r"spamrats|trend ?micro|proofpoint\.com/(?:dnsbl|ip)|ipcheck\.proofpoint|senderbase|talosintelligence|"
        r"hostkarma|manitu|\bs3\d\d\d\b|\b(?:sc|dy|ou)-00\d|\(rp-00\d\)|reputation|\[tss?(?:0[5-9]|1\d)\]|"
        r"\[bl2\d\]|\[gl01\]|\[ph01\]|permanently deferred|user complaints?|"
        r"(?:listed|found) (?:in|on|by|at) (?:the |our |an? )?(?:\w+ )?(?:\w{1,40}\.\w{2,}|local|real|dns|list|"
        r"spam)|"
        r"(?:your|sending|client|the|source|this|sender|from) (?:\w+ )?(?:ip|host|server|network|domain|"
        r"ip address|mta)\b.{0,60}(?:is |was |been |are )(?:\w+ )?(?:blocked|banned|denied|listed|refused|"
        r"restricted|suspicious|rejected)|(?:client|host|server|ip|address) .{0,60}\bblocked (?:using|by)|"
        r"blocked using|banned send|access denied, please try again later|(?:bad|suspicious) (?:ip|host)|"
        r"dynamic (?:ip|address|host)|dial-?up|residential|generic (?:r?dns|hostname|ptr)|"
        r"due to (?:abuse|spam|complaints)|"
        r"(?:sent|sending|source of|origin of|history of) (?:\w+ )?(?:spam|abuse)|"
        r"not on (?:the |our )?(?:white|allow) ?list|not in whitelist|delist|removal request|unblock|"
        r"unsolicited mail originating|too many (?:\w+ )?(?:spams|complaints|unknown|invalid|errors|bounces)|"
        r"message was blocked by (?:the )?(?:\w+ )?sender|bad ?ip ?profile|ib(?:10\d|50\d|11\d|212)\b"
    )),
    (Kind.FULL, re.compile(
        r"(?:over|exceed(?:s|ed|ing)?|out of|beyond|reached)[ -]?(?:\w+[ -]){0,4}(?:quota|storage|mailbox size|"
        r"disk)|"
        r"(?:mail ?box|inbox|mail ?folder|account|user|recipient|mail store|maildir|storage|"
        r"recipient's mailbox)(?: \w+){0,3}? (?:is |are |was |has )?(?:currently )?(?:full|overquota|over quota|"
        r"exhausted)\b|(?:quota|storage) (?:\w+ ){0,2}(?:exceeded|full|reached|violation|exhausted)|"
        r"quota[- ]?exceeded|not enough (?:storage |disk )?(?:space|room) (?:in\b|.{0,20}(?:mailbox|user))|"
        r"mailbox (?:size )?limit exceeded|mailbox exceeded|full mailbox|disk ?space quota|(?:user|domain)disk quota|"
        r"space has been used up|temporar\w+ for exceeding|not have enough (?:storage |disk )?space|"
        r"insufficient (?:disk |storage )?(?:space|quota) (?:in|for) .{0,20}(?:mailbox|user|recipient)|mailfull|"
        r"too many messages (?:in|on) .{0,20}(?:mailbox|server)|has (?:exceeded|no) .{0,30}(?:space|quota)|"
        r"storequota|quota full|boite.{0,40}pleine|casella.{0,30}piena|zuviele mails|"
        r"\u5bb9\u91cf.{0,20}(?:\u8d85\u904e|\u3044\u3063\u3071\u3044|\u30aa\u30fc\u30d0\u30fc)"
    )),
    (Kind.SIZE, re.compile(
        r"(?:message|mail|data|header|size|content|attachment|letter)s?\b.{0,30}(?:too (?:big|large|long)|"
        r"larger than|exceeds? .{0,30}(?:size|maximum|limit|length)|size (?:limit|exceed))|"
        r"(?:max(?:imum)?|fixed|allowed) (?:message |mail )?size|too (?:big|large) (?:for|a message|message)|"
        r"size (?:limit|of).{0,30}exceed|exceeded .{0,30}message size|message size|entity too large"
    )),
    (Kind.GONE, re.compile(
        r"(?:user|recipient|address|addressee|mailbox|account|alias|local[- ]?part|person|customer|destination|"
        r"email|destinataire|empf\w*|member)s?(?: \w+){0,6}? (?:unknown|not (?:be )?(?:found|known|exists?|"
        r"listed|recogni[sz]ed|registered|valid|have an account|a valid)|(?:does|do|did) ?n[o']t exist|"
        r"doesn't (?:exist|have)|does not (?:exist|have)|is(?:n't| not) (?:a )?(?:valid|known)|inactive|disabled|"
        r"deactivated|invalid|expired|closed|suspended|terminated|discontinued|unbekannt|inconnu|inexistente|"
        r"no longer (?:\w+ ){0,3}(?:valid|exists?|active|available|in use|accepts?)|deleted|moved|nonexistent|"
        r"non-existent|cannot be (?:found|verified))|"
        r"(?:user|recipient|address|mailbox|account)s?[: ]+(?:unknown|not found|invalid|inactive|disabled|"
        r"deactivated|expired)|"
        r"(?:unknown|invalid|no such|non[- ]?existent|bad|inactive|disabled|unrecogni[sz]ed|illegal|unable to find|"
        r"undeliverable|not a known|not a valid|not our|expired|unknown or illegal) (?:\w+ )?(?:\w+ )?(?:user|"
        r"recipient|address|mailbox|account|alias|local[- ]?part|person|customer|e-?mail|destination|mail drop|"
        r"userid)|"
        r"(?:no|there is no|no one with that) (?:one|mailbox|user|account|such|"
        r"email address)(?: \w+){0,4} (?:here|by that|with that|exists|name)|no mail ?box (?:here|for|found|"
        r"available)|"
        r"no one at this address|not (?:present|found|listed) in (?:the )?(?:\w+ )?directory|in name directory|"
        r"not an active address|user not active|can't accept user|user ?unknown|invalid-recipient|"
        r"mailbox not present|"
        r"recipients? (?:not ok|was undeliverable|were undeliverable)|validrcptto|nessun utente|"
        r"missing home directory|"
        r"\) unknown|mail box available for this user|"
        r"recip(?:ient)?not ?found|(?:adr\.?|utilisateur|destinataire) inconnu|unroutable address|unrouteable|"
        r"the domain \S{1,255} does not exist|dns domain \S{1,255} does not exist|host or domain name not found|"
        r"host unknown \(name server|no such (?:domain|host)|domain (?:name )?not found in dns|"
        r"takes no mail|does not (?:accept|receive) (?:any )?(?:e-?)?mail(?! from)|null ?mx|nxdomain|"
        r"no longer (?:an employee|employed|with (?:us|the company)|on (?:this )?server|works?|at this)|"
        r"not our customer|not (?:a )?local (?:user|recipient|address)|(?:user|recipient) (?:is )?not local|"
        r"address rejected: (?:user )?unknown|"
        r"does not like recipient|recipient address rejected: access denied\. (?:for more|as\(201806281\))|"
        r"access to .{0,60}account .{0,30}(?:disabled|suspended)|resolver\.adr|"
        r"nicht (?:gefunden|bekannt|vorhanden)|nie (?:istnieje|ma takiego)|no existe|n'existe pas|non esiste|"
        r"no longer (?:valid|exists?|active|in use|accepts? mail)|no valid recipients?|"
        r"\u5b9b\u5148.{0,20}(?:\u4e0d\u660e|\u898b\u3064\u304b\u308a\u307e\u305b\u3093|"
        r"\u5b58\u5728\u3057\u307e\u305b\u3093)|"
        r"(?:\u30a2\u30c9\u30ec\u30b9|\u30e6\u30fc\u30b6\u30fc?).{0,20}\u5b58\u5728\u3057"
    )),
    (Kind.BUSY, re.compile(
        r"(?:server|system|service|host|we are|we're)(?: \w+){0,3}? (?:too |very |currently |"
        r"temporarily )?(?:busy|overloaded|unavailable|not available)|too busy|high (?:system |server )?load|"
        r"load (?:is )?too high|system (?:resources|storage|load)|"
        r"insufficient (?:system )?(?:resources|storage|disk)|not enough (?:storage|disk)|"
        r"temporary (?:local |internal |system |server |lookup |queue |service )?(?:problem|failure|error|lookup|"
        r"system)|"
        r"(?:internal|local|temporary|unexpected) (?:server |system |software |processing )?(?:error|problem|"
        r"failure)|temporarily (?:unavailable|unable|out of|down|rejected|not accepting)|"
        r"service (?:is )?(?:shutting|down|closing)|shutting down|try again later.{0,20}closing|"
        r"server configuration (?:error|problem)|out of memory|no space left|maintenance|"
        r"can(?:not|'t) (?:queue|process|verify|create|open|write)|queue file write error|read-?only file system|"
        r"clamd|scanner|content filter .{0,20}(?:unavailable|timed)|lookup (?:failed|failure|error)|backend|"
        r"\bldap\b|not accepting (?:network |any )?(?:messages|mail|connections)|"
        r"resources (?:temporarily )?(?:not available|unavailable|restricted|exhausted)|server is not accepting"
    )),
    (Kind.UNREACHABLE, re.compile(
        r"connection (?:was )?(?:refused|reset|timed|lost|closed|dropped|aborted|failed)|connect to .{1,120}:|"
        r"no (?:connection|route|answer|network)|timed? ?-?out|timeout|network (?:is )?(?:unreachable|down|error)|"
        r"host (?:is )?(?:unreachable|down)|name ?server|\bdns\b|name service error|servfail|"
        r"(?:not|cannot|resolver) (?:resolve|failed)|could (?:not )?be reached|no mail server of|has no address|"
        r"closed the connection|hung up|bad connection|no response|not respond|lost connection|conversation with|"
        r"broken pipe|end of file|unexpected(?:ly)? clos"
    )),
)

# What is left when neither sentence nor number tells: the first digit of the code, and words that mean little.
_NO = ("polic", "reject", "refused", "denied", "blocked", "restrict", "forbidden", "prohibit", "administrative", "rfc",
       "not permitted", "not allowed", "not authori", "not accept", "not welcome")
AT_LAST = (
    (5, Kind.GONE, ("mailbox unavailable", "mailbox is unavailable", "account unavailable")),
    (4, Kind.BUSY, ("later", "again", "temporar", "moment", "unavailable", "not now", "deferred")),
    (5, Kind.POLICY, _NO),
    (4, Kind.POLICY, _NO),
)

# RFC 3463, RFC 5248 and the register of enhanced status codes; Microsoft's are beyond it.
BY_DETAIL = {
    "1.1": Kind.GONE, "1.2": Kind.GONE, "1.3": Kind.GONE, "1.4": Kind.GONE, "1.6": Kind.GONE, "1.10": Kind.GONE,
    "1.7": Kind.POLICY, "1.8": Kind.POLICY,
    "2.1": Kind.GONE, "2.2": Kind.FULL, "2.3": Kind.SIZE,
    "3.1": Kind.BUSY, "3.2": Kind.BUSY, "3.4": Kind.SIZE, "3.0": Kind.BUSY,
    "4.6": Kind.LOOP, "4.14": Kind.LOOP, "4.310": Kind.GONE,
    "5.3": Kind.RATE, "4.5": Kind.BUSY,
    "7.8": Kind.AUTH, "7.9": Kind.AUTH, "7.10": Kind.TLS, "7.11": Kind.TLS, "7.30": Kind.TLS,
    "7.13": Kind.GONE, "7.17": Kind.GONE, "7.18": Kind.GONE,
    **dict.fromkeys(("7.20", "7.21", "7.22", "7.23", "7.24", "7.26", "7.27", "7.29"), Kind.AUTH),
    "7.25": Kind.POLICY, "7.28": Kind.RATE, "7.133": Kind.POLICY, "7.509": Kind.AUTH, "7.515": Kind.AUTH,
    **dict.fromkeys(("7.500", "7.501", "7.502", "7.503", "7.508", "7.606", "7.650", "7.652"), Kind.REPUTATION),
}
BY_SUBJECT = {
    "2": Kind.POLICY, "3": Kind.BUSY, "4": Kind.UNREACHABLE, "7": Kind.POLICY,
}
BY_CODE = {
    421: Kind.BUSY, 432: Kind.AUTH, 452: Kind.BUSY, 454: Kind.AUTH, 521: Kind.GONE, 523: Kind.TLS, 530: Kind.AUTH,
    534: Kind.AUTH, 535: Kind.AUTH, 538: Kind.TLS, 551: Kind.GONE, 552: Kind.FULL, 556: Kind.GONE,
}
