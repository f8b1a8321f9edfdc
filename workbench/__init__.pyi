"""Sparse autoencoders on worlds with known ground truth: create, train, evaluate, save, load."""

from synthetic.base.errors import must as must
from synthetic.source import Codes as Codes
from workbench.metrics import evaluate as evaluate
from workbench.metrics import null as null
from workbench.public import SAE as SAE
from workbench.public import Latents as Latents
from workbench.public import Pass as Pass
from workbench.public import create as create
from workbench.public import load as load
from workbench.public import register as register
from workbench.public import squared_error as squared_error
from workbench.public import variant_shelf as variant_shelf
from workbench.topics.concepts.regression import NotIdentifiable as NotIdentifiable
from workbench.topics.concepts.report import concept_report as concept_report
from workbench.training.ceiling import ceiling as ceiling
from workbench.training.ceiling import oracle as oracle
from workbench.training.config import Diverged as Diverged
from workbench.training.config import TrainConfig as TrainConfig
from workbench.training.loop import train as train
from workbench.training.recipes import RECIPES as RECIPES
from workbench.training.recipes import Recipe as Recipe
from workbench.training.recipes import recipe as recipe
