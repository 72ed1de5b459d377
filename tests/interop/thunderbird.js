// What a person does in Thunderbird's windows; each function is called by its name from the tests.  Seen to work in 153.

const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const FLAGS = Ci.nsMsgFolderFlags;
const PATIENCE = 30000;         // milliseconds

// What `question` answers, once that is something.
async function until(question, what) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const answer = question();
    if (answer) {
      return answer;
    }
    if (Date.now() > end) {
      throw new Error(`it did not come to this: ${what}`);
    }
    await new Promise(resolve => setTimeout(resolve, 50));
  }
}

const mainWindow = () => Services.wm.getMostRecentWindow("mail:3pane");
const mailTab = () => mainWindow().document.getElementById("tabmail").currentAbout3Pane;
const root = () => MailServices.accounts.allServers.find(server => server.type == "imap").rootFolder;

// -- The dialogue for a new account.

function inDialogue(selector) {
  const look = where => {
    for (const element of where.querySelectorAll("*")) {
      const found = element.matches(selector) && element.checkVisibility() ? element
        : element.shadowRoot && look(element.shadowRoot);
      if (found) {
        return found;
      }
    }
    return null;
  };
  const hub = mainWindow().document.querySelector("account-hub-container");
  return hub && look(hub.shadowRoot ?? hub);
}

async function type(selector, text) {
  const field = await until(() => inDialogue(selector), selector);
  field.value = text;
  for (const event of ["input", "change"]) {
    field.dispatchEvent(new (mainWindow().Event)(event, { bubbles: true }));
  }
}

async function press(selector) {
  (await until(() => inDialogue(`${selector}:not([disabled])`), selector)).click();
}

// Name, address and servers are typed; what each server can do, it finds out itself.
async function typeAccount(name, address, host, imapPort, submissionPort) {
  await type("#realName", name);
  await type("#email", address);
  await press("#manualConfiguration");
  await type("#incomingHostname", host);
  await type("#incomingPort", imapPort);
  await press("#forward");
  await type("#outgoingHostname", host);
  await type("#outgoingPort", submissionPort);
  await press("#custom");
}

// When it has found out.
async function found() {
  await until(() => inDialogue("#forward:not([disabled])"), "the servers are found");
}

async function typePassword(password) {
  await press("#forward");
  await type("#password", password);
  await press("#forward");
  await until(() => inDialogue("#accountHubSignatureLink"), "the account is there");
}

// [[host, port, security, authentication] of what reads, of what sends], as nsMsgSocketType and nsMsgAuthMethod name them.
function servers() {
  const name = (kind, number) => Object.keys(kind).find(each => kind[each] === number);
  const sending = MailServices.outgoingServer.defaultServer;
  const smtp = sending.QueryInterface(Ci.nsISmtpServer);
  const reading = root().server;
  return [[reading.hostname, reading.port, reading], [smtp.hostname, smtp.port, sending]].map(
    ([host, port, { socketType, authMethod }]) => [
      host, port, name(Ci.nsMsgSocketType, socketType), name(Ci.nsMsgAuthMethod, authMethod)]);
}

async function closeDialogue() {
  await press("#forward");
  await until(() => !inDialogue("#forward"), "the dialogue is gone");
}

// -- Folders and messages.

// {name: use}
async function folders() {
  await until(() => root().getFolderWithFlags(FLAGS.SentMail), "Sent");
  const uses = { Inbox: "Inbox", Drafts: "Drafts", SentMail: "Sent", Archive: "Archive", Junk: "Junk", Trash: "Trash" };
  const use = folder => Object.keys(uses).filter(each => folder.flags & FLAGS[each]).map(each => uses[each]).join();
  return Object.fromEntries(root().descendants.map(folder => [folder.name, use(folder)]));
}

const folder = name => root().descendants.find(each => each.name == name);

async function open(name) {
  mailTab().displayFolder((await until(() => folder(name), name)).URI);
  await until(() => mailTab().gDBView?.msgFolder?.name == name, `${name} is shown`);
}

function line(subject) {
  const view = mailTab().gDBView;
  for (let number = 0; number < (view?.rowCount ?? 0); number++) {
    if (view.getMsgHdrAt(number).mime2DecodedSubject == subject) {
      return number;
    }
  }
  return -1;
}

async function select(subject) {
  await until(() => line(subject) >= 0, `${subject} is listed`);
  mailTab().threadTree.selectedIndex = line(subject);
}

// Until a message is shown that has a word in its text.
async function read(subject, word) {
  await select(subject);
  const pane = () => mailTab().messageBrowser.contentWindow;
  await until(() => pane()?.gMessage?.mime2DecodedSubject == subject, `${subject} is chosen`);
  const text = () => pane().getMessagePaneBrowser().contentDocument?.querySelector(
    ".moz-text-plain, .moz-text-flowed")?.textContent;
  await until(() => text()?.includes(word), `${word} is shown`);
}

// One of the commands of its menus, for a message; `changed` says that it is done.
async function command(name, subject, changed) {
  await select(subject);
  mailTab().commandController.doCommand(name);
  await until(changed, `${name} for ${subject}`);
}

const isStarred = subject => mailTab().gDBView.getMsgHdrAt(line(subject)).isFlagged;

async function star(subject) {
  await command("cmd_markAsFlagged", subject, () => isStarred(subject));
}

// Until a star is there, or is not.
async function shines(subject, wanted) {
  await until(() => isStarred(subject) == wanted, `${subject} is starred: ${wanted}`);
}

async function archive(subject) {
  await command("cmd_archive", subject, () => line(subject) < 0);
}

async function remove(subject) {
  await command("cmd_delete", subject, () => line(subject) < 0);
}

// -- Writing.

async function write(to, subject, body) {
  const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
  Object.assign(fields, { to, subject, body });
  const letter = Cc["@mozilla.org/messengercompose/composeparams;1"].createInstance(Ci.nsIMsgComposeParams);
  letter.type = Ci.nsIMsgCompType.New;
  letter.format = Ci.nsIMsgCompFormat.PlainText;
  letter.composeFields = fields;
  letter.identity = MailServices.accounts.defaultAccount.defaultIdentity;
  MailServices.compose.OpenComposeWindowWithParams(null, letter);
  await until(() => {
    const open = Services.wm.getMostRecentWindow("msgcompose");
    const send = open?.document.getElementById("button-send");
    return open?.gMsgCompose?.editor && send && !send.disabled && open.document.title.includes(subject);
  }, "a window to write in");
}

async function send() {
  const letter = Services.wm.getMostRecentWindow("msgcompose");
  letter.goDoCommand("cmd_sendNow");
  await until(() => letter.closed, "it is sent");
}

// -- Searching.

// What the dialogue finds in the bodies of a folder's messages when the server searches: subjects.
async function search(name, text) {
  mainWindow().openDialog(
    "chrome://messenger/content/SearchDialog.xhtml", "_blank", "chrome,resizable,status,dialog=no", { folder: folder(name) });
  const dialogue = await until(() => {
    const opened = Services.wm.getMostRecentWindow("mailnews:search");
    return opened?.document.querySelector("#searchVal0 input") && opened;
  }, "a window to search in");
  const element = id => dialogue.document.getElementById(id);
  if (!element("checkSearchOnline").checked) {
    element("checkSearchOnline").click();
  }
  element("searchAttr0").value = String(Ci.nsMsgSearchAttrib.Body);
  dialogue.document.querySelector("#searchVal0 input").value = text;
  element("search-button").click();
  await until(() => /match/.test(element("statusText").value), "the search ends");
  const view = dialogue.gDBView;
  return Array.from({ length: view.rowCount }, (_, number) => view.getMsgHdrAt(number).mime2DecodedSubject);
}

function closeSearch() {
  Services.wm.getMostRecentWindow("mailnews:search").close();
}

// -- What others share.

// In the dialogue that offers all folders: tick the one with this path.
async function subscribe(path) {
  mainWindow().openDialog(
    "chrome://messenger/content/subscribe.xhtml", "_blank", "chrome,resizable,dialog=no",
    { folder: root(), okCallback: mainWindow().SubscribeOKCallback });
  const dialogue = await until(() => Services.wm.getMostRecentWindow("mailnews:subscribe"), "a window to subscribe in");
  const row = await until(() => {
    const rows = dialogue.document.getElementById("subscribeTree")?.view?._allRowMap ?? [];
    const all = rows.flatMap(function below(each) {
      return [each, ...each.children.flatMap(below)];
    });
    return all.find(each => each.childPath == path);
  }, `${path} is offered`);
  row.toggleProperty("checked", true);
  return dialogue;
}

async function subscribed(path) {
  const dialogue = Services.wm.getMostRecentWindow("mailnews:subscribe");
  dialogue.document.querySelector("dialog").acceptDialog();
  await until(() => folder(path.split("/").pop()), `${path} is there`);
}

// Whether the menu lets her delete what is selected.
async function mayDelete(subject) {
  await select(subject);
  return mailTab().commandController.isCommandEnabled("cmd_delete");
}

// What stands below the list, once it does.
async function quota() {
  const panel = await until(() => {
    const found = mainWindow().document.getElementById("quotaPanel");
    return !found.hidden && found;
  }, "the quota is shown");
  return Number(panel.ownerDocument.getElementById("quotaMeter").getAttribute("value"));
}

// -- Whom it trusts.

function trust(certificate) {
  const known = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
  known.addCertFromBase64(certificate, "CTu,,");
}
