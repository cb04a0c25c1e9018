package daemon

import "time"

// http.Server.Shutdown drops a request whose header it has just read, and closes a
// connection on which a client is about to send its next one. An importer takes
// either for a failed import. So before it the endpoint is drained: nothing new is
// accepted, answers say that the connection ends, and those who have connected are
// waited for.
const (
	// greetTime is how long one who has just connected has for his request.
	greetTime = time.Second
	// pageTime is how long after its last request a connection's next one is
	// waited for, so that an importer hears the end of it with its next page. Only
	// where systemd holds the socket: elsewhere the page after would be refused all
	// the same.
	pageTime = 2 * time.Second

	drainTick = 10 * time.Millisecond
)

// drain has the endpoint accept nothing more, and gives those who are connected
// time to ask what they are about to.
func (d *Daemon) drain() {
	if d.scimServer == nil {
		return
	}
	d.endpoint.draining.Store(true)
	d.scimListener.Close() // shut down once more by the server, which is no matter
	d.accepting.Wait()
	var between time.Duration
	if d.gen.Load().cfg.SCIM.Listen.Network == "systemd" {
		between = pageTime
	}
	ticker := time.NewTicker(drainTick)
	defer ticker.Stop()
	for d.endpoint.conns.expected(time.Now(), between) {
		<-ticker.C
	}
	<-ticker.C // who is in a request by now is past the point where it would be dropped
}
