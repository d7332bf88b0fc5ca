"""HTTP/1.1 over asyncio: messages, a server, a client, upgrades (WebSocket, SPDY/3.1)."""
