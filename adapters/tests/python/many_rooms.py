"""Members of one room of the JSON chat, all connected at once: host, port, how many."""
import errno, json, resource, selectors, socket, sys

host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
if soft != resource.RLIM_INFINITY and soft < count + 64:
    if hard != resource.RLIM_INFINITY and hard < count + 64:
        sys.exit("skipped: this user may open %d files" % hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 64, hard))

class Member:
    def __init__(self, number):
        self.name, self.text, self.stage = "m%d" % number, "", "connecting"
        self.sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.sock.setblocking(False)
        if host == "127.0.0.1" and sys.platform == "linux":
            self.sock.bind(("127.0.0.2", 0))  # takes no port that a hub beside this wants to have again
        assert self.sock.connect_ex((host, port)) in (0, errno.EINPROGRESS)

    def send(self, **message):
        self.sock.sendall(json.dumps(message).encode())

    def hear(self):
        """The objects that came, as lines."""
        data = self.sock.recv(65536)
        assert data, self.name + " was cut off while " + self.stage
        *lines, self.text = (self.text + data.decode()).split("\n")
        return [json.loads(line) for line in lines]

def run(stage, step):
    """Lets each member take steps until all are at the stage."""
    left = {member for member in members if member.stage != stage}
    while left:
        ready = select.select(60) or sys.exit("%d are not %s" % (len(left), stage))
        for key, _ in ready:
            step(key.data)
            if key.data.stage == stage:
                left.discard(key.data)

def greet(member):
    if member.stage == "connecting":
        assert member.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        select.modify(member.sock, selectors.EVENT_READ, member)
        member.stage = "connected"
        return
    for message in member.hear():
        assert message["type"] == "welcome", message
        member.stage = "welcome"

def join(member):
    for message in member.hear():
        if message["message"] == member.name + " joined lab":
            member.stage = "inside"

def listen(member):
    for message in member.hear():
        if message["type"] == "chat":
            assert (message["username"], message["message"]) == ("m0", "to all"), message
            assert member.stage == "inside", "twice"
            member.stage = "told"

select, members = selectors.DefaultSelector(), []
for number in range(count):
    members.append(Member(number))
    select.register(members[-1].sock, selectors.EVENT_WRITE, members[-1])
run("welcome", greet)
for member in members:
    member.send(type="join", room="lab", username=member.name)
run("inside", join)
members[0].send(type="chat", message="to all")
members[0].stage = "told"  # nobody hears itself
run("told", listen)
print("%d told" % count)
