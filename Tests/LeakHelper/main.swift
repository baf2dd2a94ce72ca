import Glibc
import IOEngineCore
import SystemPackage
import TestSupport

// Makes and drops every owner of the package many times and says what is left of them. What the optimiser
// does to the ends of owners shows in release builds only. `.ci/leaks` runs this as it wants to be run: the C
// library must keep nothing back for later.
//
//   LeakHelper PATH ROUNDS [WORD]      PATH: a file to use; WORD: only owners whose names contain it

let arguments = CommandLine.arguments
guard arguments.count >= 3, let rounds = Int(arguments[2]), rounds >= 1 else {
    print("usage: LeakHelper PATH ROUNDS [WORD]")
    exit(2)
}
let path = FilePath(arguments[1])
let file = try IODescriptor.open(path, .readWrite, options: [.create, .truncate])
let place = Place(
    path: arguments[1], buffered: file,
    direct: try IODescriptor.open(path, .readWrite, direct: true))
_ = Holdings.atRest()
var isClean = true
for owner in LoopOwners.all + ContextOwners.all + OtherOwners.all
where arguments.count == 3 || owner.name.contains(arguments[3]) {
    let left = try owner.leftovers(rounds: rounds, place)
    if !left.isEmpty { isClean = false }
    print(left.isEmpty ? "nothing" : left.joined(separator: ", "), "is left of: \(owner.name)")
    fflush(nil)
}
exit(isClean ? 0 : 1)
