"""Which function answers which command."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from mailserver.imap.commands import (
    acl,
    connection,
    contexts,
    fetch,
    listing,
    mailboxes,
    messages,
    metadata,
    multisearch,
    notify,
    search,
)
from mailserver.imap.commands import batches as batching
from mailserver.imap.commands import urls as commands_of_urls
from mailserver.session.imap import acl as acl_
from mailserver.session.imap import (
    annotating,
    basic,
    batches,
    changing,
    fetching,
    folders,
    listed,
    notifying,
    searching,
    selecting,
    several,
    sorting,
    threading,
    updating,
    urls,
)
from mailserver.session.imap.reply import Reply

Handler = Callable[[Any, Any], Awaitable[Reply]]

HANDLERS: Mapping[type, Handler] = {
    connection.Noop: basic.noop, connection.Capability: basic.capability, connection.Logout: basic.logout,
    connection.Id: basic.identify, connection.StartTls: basic.start_tls, connection.Enable: basic.enable,
    connection.Unauthenticate: basic.unauthenticate, connection.Compress: basic.compress,
    mailboxes.Select: selecting.select, messages.Close: selecting.close, messages.Unselect: selecting.unselect,
    messages.Check: selecting.check,
    mailboxes.Create: folders.create, mailboxes.Delete: folders.delete, mailboxes.Rename: folders.rename,
    mailboxes.Subscribe: folders.subscribe, mailboxes.Unsubscribe: folders.unsubscribe,
    mailboxes.Namespace: folders.namespace, mailboxes.GetQuota: folders.get_quota,
    mailboxes.GetQuotaRoot: folders.get_quota_root, mailboxes.SetQuota: folders.set_quota,
    mailboxes.Status: listed.status, listing.List: listed.list_them, listing.Lsub: listed.lsub,
    messages.Store: changing.store, messages.Expunge: changing.expunge, messages.Copy: changing.copy,
    messages.Move: changing.copy, fetch.Fetch: fetching.fetch,
    search.Search: searching.search, search.Sort: sorting.sort, search.Thread: threading.thread,
    metadata.GetMetadata: annotating.get_metadata, metadata.SetMetadata: annotating.set_metadata,
    commands_of_urls.GenUrlAuth: urls.gen_url_auth, commands_of_urls.ResetKey: urls.reset_key,
    commands_of_urls.UrlFetch: urls.url_fetch, batching.UidBatches: batches.uid_batches,
    search.UnknownCharset: searching.refuse, contexts.CancelUpdate: updating.cancel,
    notify.Notify: notifying.notify, multisearch.ESearch: several.esearch,
    acl.SetAcl: acl_.set_acl, acl.DeleteAcl: acl_.delete_acl, acl.GetAcl: acl_.get_acl,
    acl.ListRights: acl_.list_rights, acl.MyRights: acl_.my_rights,
}
