// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Contracts without the rules
/// @notice Each lacks what Claims, Escrow or the ledger has against an attack, and lets it pass: an
/// attack that fails against these shows nothing.

/// @notice Takes a patient's signature for an amount, and asks for nothing else to be signed.
contract NaiveClaims {
    mapping(uint64 number => uint256) public lockedOf;
    mapping(uint64 number => address) public payerOf;
    mapping(bytes32 signatureHash => bool) public isUsed;

    /// @notice Locks for whoever sends it: no payer, no sequence, no contract and no chain is signed.
    function lock(uint64 number, uint64 amount, address patient, bytes calldata signature) public {
        bytes32 digest = keccak256(abi.encode(number, amount));
        (bytes32 r, bytes32 s) = abi.decode(signature[:64], (bytes32, bytes32));
        require(ecrecover(digest, uint8(signature[64]), r, s) == patient, "signature");
        lockedOf[number] += amount;
        if (payerOf[number] == address(0)) payerOf[number] = msg.sender;
    }

    /// @notice Knows a used signature by its bytes.
    function lockOnce(uint64 number, uint64 amount, address patient, bytes calldata signature) external {
        bytes32 id = keccak256(signature);
        require(!isUsed[id], "used");
        isUsed[id] = true;
        lock(number, amount, patient, signature);
    }
}

interface IToken {
    function transfer(address to, uint256 amount) external returns (bool);
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
}

/// @notice Pays first, marks after, and believes what the token says.
contract NaiveEscrow {
    IToken private immutable _token;

    mapping(address account => uint256) public depositOf;

    constructor(IToken token) {
        _token = token;
    }

    function deposit(uint256 amount) external {
        _token.transferFrom(msg.sender, address(this), amount);
        depositOf[msg.sender] += amount;
    }

    function withdraw(uint256 amount) external {
        uint256 held = depositOf[msg.sender];
        require(amount <= held, "deposit");
        _token.transfer(msg.sender, amount);
        depositOf[msg.sender] = held - amount;
    }
}

/// @notice Looks only whether a segment of this first serial is there.
contract NaiveSegments {
    struct Segment {
        address owner;
        uint64 first;
        uint64 last;
    }

    Segment[] public segments;

    mapping(uint64 first => bool) public isTaken;
    mapping(uint256 segment => mapping(uint64 number => bytes32)) public bodyOf;

    function allot(address owner, uint64 first, uint64 last) external {
        require(!isTaken[first], "taken");
        isTaken[first] = true;
        segments.push(Segment(owner, first, last));
    }

    function issue(uint256 segment, uint64 number, bytes32 body) external {
        Segment memory found = segments[segment];
        require(msg.sender == found.owner && number >= found.first && number <= found.last, "segment");
        require(bodyOf[segment][number] == 0, "issued");
        bodyOf[segment][number] = body;
    }
}
