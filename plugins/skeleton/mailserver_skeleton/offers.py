"""What this package offers.  The classes are named by their paths, so that listing plugins does not import them."""

from mailserver.plugin import AuthenticatorOffer, FilterOffer, ForwarderOffer, ListenerOffer, MailboxOffer

subjects = FilterOffer("subjects", "mailserver_skeleton.subjects.Subjects", "Look for words in subjects.")

departments = ForwarderOffer(
    "departments", "mailserver_skeleton.departments.Departments", "Send mail for departments to who works there."
)

passfile = AuthenticatorOffer("passfile", "mailserver_skeleton.passfile.Passfile", "Check passwords against a file.")

shoebox = MailboxOffer("shoebox", "mailserver_skeleton.shoebox.Shoebox", "Keep each message in a file of its own.")

diary = ListenerOffer("diary", "mailserver_skeleton.diary.Diary", "Write down what did not reach whom.")
