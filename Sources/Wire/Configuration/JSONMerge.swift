extension JSONNode {
    /// This layer under `upper`: objects merge key by key, anything else is replaced; null in `upper` takes the key
    /// away, so that the default holds again.
    func merged(under upper: JSONNode) -> JSONNode {
        guard case .object(let lowerMembers) = content, case .object(let upperMembers) = upper.content else {
            return upper
        }
        var members = lowerMembers
        for member in upperMembers {
            let index = members.firstIndex { $0.key == member.key }
            switch (index, member.node.content) {
            case (let index?, .null): members.remove(at: index)
            case (nil, .null): break
            case (let index?, _):
                let node = members[index].node.merged(under: member.node)
                members[index] = Member(key: member.key, keyPlace: member.keyPlace, node: node)
            case (nil, _): members.append(member)
            }
        }
        return JSONNode(content: .object(members), place: place)
    }

    /// This object without one of its keys.
    func without(_ key: String) -> JSONNode {
        guard case .object(let members) = content else { return self }
        return JSONNode(content: .object(members.filter { $0.key != key }), place: place)
    }
}
