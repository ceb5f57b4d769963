"""Which Switchboard this is: said in the metrics, in the list of processes and by the doctor."""

VERSION = "0.1.0"
