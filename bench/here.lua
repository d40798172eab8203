-- wrk asks for the name in its URL, and finds it on this machine without any resolver.
function wrk.resolve(_, service)
	wrk.addrs = wrk.lookup("127.0.0.1", service)
end
