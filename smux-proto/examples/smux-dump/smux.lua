-- Wireshark dissector of smux, versions 1 and 2. README.md says how to load it.
--
-- A connection is taken for smux if it begins with a SYN or a NOP; any other is by "Decode As".

-- Wireshark knows another protocol by the name of smux, which is SNMP's.
local smux = Proto("smx", "Simple Multiplexing (smux)")

local HEADER = 8
local SYN, FIN, PSH, NOP, UPD = 0, 1, 2, 3, 4
local COMMANDS = { [SYN] = "SYN", [FIN] = "FIN", [PSH] = "PSH", [NOP] = "NOP", [UPD] = "UPD" }
local LENGTH_OF_UPD = 8

local fields = {
    version = ProtoField.uint8("smx.version", "Version"),
    command = ProtoField.uint8("smx.command", "Command", base.DEC, COMMANDS),
    length = ProtoField.uint16("smx.length", "Length"),
    stream = ProtoField.uint32("smx.stream", "Stream"),
    payload = ProtoField.bytes("smx.payload", "Payload"),
    consumed = ProtoField.uint32("smx.consumed", "Consumed"),
    window = ProtoField.uint32("smx.window", "Window"),
}
smux.fields = fields

local bad_frame = ProtoExpert.new(
    "smx.bad_frame", "No frame of smux", expert.group.MALFORMED, expert.severity.ERROR)
smux.experts = { bad_frame }

-- What is wrong with a header, or nil. A receiver ends the session at any of these.
local function fault(version, command, length)
    if version ~= 1 and version ~= 2 then
        return "no version of smux"
    elseif command > UPD then
        return "no command of smux"
    elseif command == UPD and version == 1 then
        return "UPD in version 1"
    elseif command == UPD and length ~= LENGTH_OF_UPD then
        return "UPD of another length than 8"
    elseif command ~= UPD and command ~= PSH and length ~= 0 then
        return COMMANDS[command] .. " with a payload"
    end
end

local function header(tvb, at)
    return tvb(at, 1):uint(), tvb(at + 1, 1):uint(), tvb(at + 2, 2):le_uint(), tvb(at + 4, 4):le_uint()
end

local function frame_length(tvb, _, at)
    local version, command, length = header(tvb, at)
    if fault(version, command, length) then
        return tvb:len() - at -- nothing behind it can be understood
    end
    return HEADER + length
end

local function dissect_frame(tvb, pinfo, root)
    local version, command, length, stream = header(tvb, 0)
    local name = COMMANDS[command] or "?"
    local text = command == NOP and name or string.format("%s %d", name, stream)

    local tree = root:add(smux, tvb(), "smux, " .. text)
    tree:add(fields.version, tvb(0, 1))
    tree:add(fields.command, tvb(1, 1))
    tree:add_le(fields.length, tvb(2, 2))
    tree:add_le(fields.stream, tvb(4, 4))

    local wrong = fault(version, command, length)
    if wrong then
        tree:add_proto_expert_info(bad_frame, wrong)
    elseif command == UPD then
        tree:add_le(fields.consumed, tvb(8, 4))
        tree:add_le(fields.window, tvb(12, 4))
        text = text .. string.format(" window %d", tvb(12, 4):le_uint())
    elseif length > 0 then
        tree:add(fields.payload, tvb(HEADER, length))
        text = text .. string.format(" %d bytes", length)
    end
    pinfo.cols.info:append(text .. "  ")
    return tvb:len()
end

function smux.dissector(tvb, pinfo, root)
    pinfo.cols.protocol = "smux"
    pinfo.cols.info = ""
    dissect_tcp_pdus(tvb, root, HEADER, frame_length, dissect_frame)
    return tvb:len()
end

-- The first frame of a session is nearly always one of these two, both without a payload.
local function looks_like_smux(tvb, pinfo, root)
    if tvb:len() < HEADER then
        return false
    end
    local version, command, length, stream = header(tvb, 0)
    local opens = command == SYN and stream ~= 0 or command == NOP and stream == 0
    if not opens or fault(version, command, length) then
        return false
    end
    pinfo.conversation = smux
    smux.dissector(tvb, pinfo, root)
    return true
end

smux:register_heuristic("tcp", looks_like_smux)
DissectorTable.get("tcp.port"):add_for_decode_as(smux)
