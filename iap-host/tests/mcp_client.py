"""Asks a host by the Model Context Protocol, with the official client: over HTTP, or over the relay's standard input and output.

usage: mcp_client.py http URL TOKEN | stdio PROGRAM URL TOKEN; reads calls as JSON lines, prints answers as JSON lines.
"""

import asyncio
import json
import sys

import httpx2
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client


async def talk(session):
    first = await session.initialize()
    out = {"initialize": first.model_dump(mode="json", by_alias=True)}
    print(json.dumps(out), flush=True)
    for line in sys.stdin:
        call = json.loads(line)
        try:
            if call["do"] == "tools":
                answer = await session.list_tools()
            elif call["do"] == "prompts":
                answer = await session.list_prompts()
            elif call["do"] == "prompt":
                answer = await session.get_prompt(call["name"])
            else:
                answer = await session.call_tool(call["name"], call.get("arguments", {}))
            out = answer.model_dump(mode="json", by_alias=True)
        except Exception as error:  # The test looks at what went wrong.
            out = {"error": str(error)}
        print(json.dumps(out), flush=True)


async def main():
    if sys.argv[1] == "http":
        headers = {"Authorization": f"Bearer {sys.argv[3]}"}
        async with httpx2.AsyncClient(headers=headers, timeout=60) as client:
            async with streamable_http_client(sys.argv[2] + "/mcp", http_client=client) as streams:
                async with ClientSession(streams[0], streams[1]) as session:
                    await talk(session)
    else:
        program, url, token = sys.argv[2:5]
        server = StdioServerParameters(command=program, args=["mcp", "--url", url], env={"IAP_MCP_TOKEN": token})
        async with stdio_client(server) as (read, write):
            async with ClientSession(read, write) as session:
                await talk(session)


asyncio.run(main())
