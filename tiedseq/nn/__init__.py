"""Networks whose weights are tied: convolution, recurrence and the symmetries of DNA.

A layer has its forward and its exact backward, and a network is a short list of layers. There is no automatic
differentiation and no GPU.
"""

from .emissions import Emissions as Emissions
from .estimators.classifier import Classifier as Classifier
from .estimators.labeller import Labeller as Labeller
from .estimators.regressor import Regressor as Regressor
from .estimators.siamese import Siamese as Siamese
from .landscape import hessian_of as hessian_of
from .landscape import projected_gradient as projected_gradient
from .landscape import projected_hessian as projected_hessian
from .landscape import tied_subspace as tied_subspace
from .layer import Layer as Layer
from .layers.activations import Dropout as Dropout
from .layers.activations import ReLU as ReLU
from .layers.activations import Sigmoid as Sigmoid
from .layers.activations import Tanh as Tanh
from .layers.convolution import Conv1D as Conv1D
from .layers.dense import Dense as Dense
from .layers.dense import Flatten as Flatten
from .layers.dense import OneHot as OneHot
from .layers.depth import Repeat as Repeat
from .layers.depth import Residual as Residual
from .layers.graph import MultiHop as MultiHop
from .layers.local import LocallyConnected1D as LocallyConnected1D
from .layers.pooling import GlobalMaxPool as GlobalMaxPool
from .layers.pooling import GlobalMeanPool as GlobalMeanPool
from .layers.pooling import MaxPool as MaxPool
from .layers.pooling import MeanPool as MeanPool
from .layers.recurrent import GRU as GRU
from .layers.recurrent import LSTM as LSTM
from .layers.recurrent import RNN as RNN
from .layers.unet import UNet1D as UNet1D
from .layers.unrolled import UnrolledRNN as UnrolledRNN
from .motifs import motifs as motifs
from .motifs import write_motifs as write_motifs
from .network import Sequential as Sequential
from .pytorch import from_state_dict as from_state_dict
from .pytorch import to_state_dict as to_state_dict
from .signal import Action as Action
from .signal import Batch as Batch
from .signal import Signal as Signal
from .training.options import Epoch as Epoch
from .weights import Weight as Weight
