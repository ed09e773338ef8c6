"""What tests drive llmtap with: raw bytes over sockets, and real ``llmtap serve`` processes."""
