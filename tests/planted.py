"""An SAE in which every way to fail is planted by hand, and its world."""

from replay import Replay, Table

D, N = 64, 200
FIRES = {
    0: range(100),  # a parent
    1: range(40),  # its child, in whose samples the parent's latent is silent
    2: range(30, 130),  # a parent
    3: range(50, 90),  # its child, of which the parent's row holds a part
    4: range(100, 160),  # two latents
    5: range(60),  # one latent with 6
    6: range(100, 150),
    7: range(150, 190),  # its latent never fires
    8: range(199, 200),  # rare, without a latent
    9: range(20, 60),  # at cosine .6 to 4
    10: range(0),
}
ROWS = [
    ({0: 1.0}, range(40, 100)),
    ({0: 0.6, 1: 0.8}, range(40)),
    ({2: 0.8, 3: 0.5}, range(30, 130)),
    ({3: 1.0}, range(50, 90)),
    ({4: 1.0}, range(100, 130)),
    ({4: 0.9, 20: 0.436}, range(130, 160)),
    ({5: 0.75, 6: 0.66}, [*range(60), *range(100, 150)]),
    ({7: 1.0}, []),
    ({4: 0.6, 30: 0.8}, range(20, 60)),
    ({50: 1.0}, []),
    ({51: 1.0}, []),
]


def placed(entries, width=D):
    row = [0.0] * width
    for at, value in entries.items():
        row[at] = value
    return row


def planted():
    features = [placed({i: 1.0}) for i in range(9)] + [placed({4: 0.6, 30: 0.8}), placed({10: 1.0})]
    h = [[float(sample in FIRES[i]) for i in range(11)] for sample in range(N)]
    parents = [-1, 0, -1, 2, *[-1] * 7]
    latents = [[float(sample in fires) for _, fires in ROWS] for sample in range(N)]
    return Table([placed(row) for row, _ in ROWS], latents), Replay(h, features, parents=parents)
