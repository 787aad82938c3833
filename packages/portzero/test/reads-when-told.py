# A client that lets the answer to its request come, reads it when it is told to, and tells how the connection has ended.
# Node takes a reset for an end, if there was something left to read before it.
import socket
import sys

port, request, closes_its_side = sys.argv[1:]

client = socket.create_connection(("127.0.0.1", int(port)))
client.sendall(request.encode())
if closes_its_side == "true":
    client.shutdown(socket.SHUT_WR)
sys.stdin.read()
try:
    while client.recv(65_536):
        pass
    print("an end")
except ConnectionResetError:
    print("a reset")
