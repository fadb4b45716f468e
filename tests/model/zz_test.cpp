#include "stages/model/muon.h"
#include <gtest/gtest.h>
#include <torch/torch.h>
#include "tests/model/golden.h"
#include "stages/model/schedule.h"
using V=std::vector<at::Tensor>;
// sequential bf16 accumulation over k
static at::Tensor mmseq(const at::Tensor&a,const at::Tensor&b){auto r=[](const at::Tensor&y){return y.to(at::kBFloat16).to(at::kFloat);};
  auto c=at::zeros({a.size(0),b.size(1)});for(int64_t k=0;k<a.size(1);++k)c=r(c+at::outer(a.select(1,k),b.select(0,k)));return c;}
static at::Tensor ns(at::Tensor g,int mode){
  bool seq=mode>=10;
  const auto r=[](const at::Tensor&y){return y.to(at::kBFloat16).to(at::kFloat);};
  auto mm=[&](const at::Tensor&a,const at::Tensor&b){return seq?mmseq(a,b):at::mm(a,b);};
  bool tall=g.size(0)>g.size(1); at::Tensor x=r(g); if(tall)x=x.t(); x=r(x/(x.norm()+1e-7));
  for(int i=0;i<5;++i){auto A=mode==12||mode==10?r(mm(x,x.t())):r(at::mm(x,x.t()));auto AA=mode==11||mode==10?r(mm(A,A)):r(at::mm(A,A));auto B=r(r(A*-4.7750)+r(AA*2.0315));x=r(r(x*3.4445)+(mode==13||mode==10||mode==11?r(mm(B,x)):r(at::mm(B,x))));}
  return tall?x.t():x;
}
static V train(golden::Golden&g,int mode){
  auto x=g.patches("train.x_t"),t=g.tensors.at("train.t"),a=g.tensors.at("train.actions");auto v=g.patches("train.x0")-g.patches("train.noise");
  auto w=g.weights; V m,s; for(auto&p:w.tensors){m.push_back(at::zeros_like(p));s.push_back(at::zeros_like(p));}
  for(int k=0;k<5;++k){auto l=w.leaves();auto loss=g.network.loss(g.network.forward(l,x,t,a),x,v,t);auto gr=torch::autograd::grad({loss},l.tensors);
   double n=0;for(auto&q:gr)n+=q.square().sum().item<double>(); if(mode==0)printf("loss %.8f ref %.8f norm %f\n",loss.item<double>(),g.tensors.at("opt.losses")[k].item<double>(),std::sqrt(n));
   double sh=model::cosine_with_warmup(k,2,20);
   for(size_t i=0;i<gr.size();++i){auto&p=w.tensors[i];
    if(model::updated_by_muon(w.names[i],p)){at::Tensor u;
      if(mode==2){m[i]=m[i]*0.95+gr[i];u=gr[i]+m[i]*0.95;} else {m[i]=at::lerp(m[i],gr[i],0.05);u=mode==1?m[i]:at::lerp(gr[i],m[i],0.95);}
      auto o=mode<10?model::orthogonalise(u):ns(u,mode);
      o=o*std::sqrt(std::max(1.0,(double)p.size(0)/(double)p.size(1)));p=p*(1-.02*sh*1e-5)-.02*sh*o;}
    else{m[i]=at::lerp(m[i],gr[i],.1);s[i]=at::lerp(s[i],gr[i].square(),.05);p=p*(1-3e-4*sh*1e-5)-3e-4*sh*(m[i]/(1-std::pow(.9,k+1)))/((s[i]/(1-std::pow(.95,k+1))).sqrt()+1e-10);}
   }}
  return w.tensors;
}
TEST(Ns,Traj){
  golden::Golden g("rope");
  for(int mode:{0,1,2,10,11,12,13}){ auto f=train(g,mode); printf("mode %d\n",mode);
  for(auto n:{"registers","blocks.0.selfattn.QKV.weight","blocks.0.selfattn.O.weight","blocks.0.geglu.up_proj.weight","blocks.0.geglu.down.weight","blocks.0.modulation.1.weight"}){ size_t i=std::find(g.weights.names.begin(),g.weights.names.end(),n)-g.weights.names.begin(); auto s=g.weights.tensors[i]; auto go=g.tensors.at(std::string("opt.param.")+n)-s; auto d=f[i]-s;
   printf("  %-32s rel %.3f proj %.4f |d|/|ref| %.4f\n",n,golden::relative_difference(d,go),((d*go).sum()/go.square().sum()).item<float>(),(d.norm()/go.norm()).item<float>());}}
}
