"""What answers predictions, in Lambda and in an export. Each imports only what stands below it:

standalone/     a version outside AWS: its server, and what predicts without one
http/           every form of HTTP: paths, statuses, protocols
endpoint.py     what a request is answered, whatever serves the HTTP
capture/        what is kept of predictions, and of their truth
answer.py       what a version answers; description.py: what is said of a model
routing/        who answers
runtime/        running a graph
rows/           from the bytes of a request to what a graph reads
lines.py        what a line of captures or feedback holds; report.py: who is told of what goes wrong
"""
